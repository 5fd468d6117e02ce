import type { Logger } from '../system/log.js'

/** What is aborted when the schedule closes. */
export type ScheduledWork = (signal: AbortSignal) => Promise<unknown>

/**
 * Work that comes round by itself. Nothing keeps the process alive, nothing runs twice at once under one name, and a
 * failure is logged and tried again the next time.
 */
export interface Schedule {
  /** First after that many minutes. */
  every(name: string, interval: { minutes: number }, work: ScheduledWork): void
  /** Once a day within this hour of the server's time, asked each minute; null: not by itself. Missed hours are not made up. */
  daily(name: string, hour: () => number | null, work: ScheduledWork): void
  /** Does it now, out of turn; when it is under way already, waits for that. Never rejects. */
  run(name: string): Promise<void>
  close(): void
}

interface Job {
  isDue(now: Date): boolean
  work: ScheduledWork
  /** Under way. */
  running: Promise<void> | undefined
}

const LOOK_EVERY_MS = 60_000
const MINUTE_MS = 60_000

export function createSchedule({ log, now }: { log: Logger; now: () => Date }): Schedule {
  const jobs = new Map<string, Job>()
  const closing = new AbortController()
  const timer = setInterval(look, LOOK_EVERY_MS)
  timer.unref()

  function look(): void {
    const at = now()
    for (const [name, job] of jobs) {
      if (job.running === undefined && job.isDue(at)) void start(name, job)
    }
  }

  function start(name: string, job: Job): Promise<void> {
    job.running ??= Promise.resolve()
      .then(() => job.work(closing.signal))
      .then(
        () => undefined,
        (error: unknown) => log.error({ err: error, scheduled: name }, 'what was scheduled has failed'),
      )
      .finally(() => (job.running = undefined))
    return job.running
  }

  function add(name: string, work: ScheduledWork, isDue: Job['isDue']): void {
    if (jobs.has(name)) throw new Error(`${name} is scheduled already`)
    jobs.set(name, { isDue, work, running: undefined })
  }

  return {
    every(name, { minutes }, work) {
      let last = now().getTime()
      add(name, work, (at) => {
        // A clock that was set back must not put it off for ever.
        if (at.getTime() < last) last = at.getTime()
        if (at.getTime() - last < minutes * MINUTE_MS) return false
        last = at.getTime()
        return true
      })
    },
    daily(name, hour, work) {
      let doneOn = ''
      add(name, work, (at) => {
        const today = at.toDateString()
        if (at.getHours() !== hour() || today === doneOn) return false
        doneOn = today
        return true
      })
    },
    async run(name) {
      const job = jobs.get(name)
      if (!job) throw new Error(`${name} is not scheduled`)
      if (!closing.signal.aborted) await start(name, job)
    },
    close() {
      clearInterval(timer)
      closing.abort()
    },
  }
}
