// Ends with 0 when the backend answers: it listens only once its nodes are looked after.
const { ok } = await fetch('http://127.0.0.1:3001/api/health/live', { signal: AbortSignal.timeout(4000) })
process.exitCode = ok ? 0 : 1
