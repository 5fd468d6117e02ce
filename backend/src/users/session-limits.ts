/**
 * ASVS asks for short sessions (30 minutes idle, 12 hours in all). A class of two hours with a lecture in the middle, or a
 * lab that installs overnight, would be thrown out of its consoles by that. So: half a day without a request, a week in all; whoever signs out, changes the password, is disabled or
 * gets another role is out at once.
 */
export const IDLE_MS = 12 * 3_600_000
export const ABSOLUTE_MS = 7 * 24 * 3_600_000
/** `last_seen_at` is written this often at most. */
export const SEEN_EVERY_MS = 60_000
/** More of them are forgotten browsers: the oldest end. */
export const MAX_SESSIONS_PER_USER = 30
/** A clock that was set back would make sessions live longer; one seen this far in the future ends. */
export const CLOCK_TOLERANCE_MS = 5 * 60_000
export const SWEEP_EVERY_MS = 60_000
