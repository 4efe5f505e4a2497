"""On-site inspections, training, joint meetings, and the weekly four ones (实地检查, 培训, 联席会议, 四个一)."""
