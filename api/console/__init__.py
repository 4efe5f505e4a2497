"""Pages for people: what the interface (`/api/v1`) can do, on screens. See docs/console.md."""
