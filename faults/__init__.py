"""Attacks a whole running site and says what was lost, leaked or rung twice: `shouwang faults`.

schedule    which fault begins when and for how long, drawn from a seed (pure)
nemeses     the faults: each does harm to a town and takes it back
proxy       a link that can be cut, held, slowed and broken on one side
disks       a disk that can lose its power
town        a village in real processes; launch, witnesses: what it is started and looked at with
sets        what was pressed, confirmed, journalled, stored, told and sounded, compared as sets (pure)
audiences   who may know of what in that village, written down by hand
program     one attack from the first press to the verdict
"""
