import { runFuzzedHttp } from './fuzz-http.js'
import { runFuzzedSockets } from './fuzz-sockets.js'
import { runHostileImages } from './hostile-images.js'
import { newResult, type PartOptions, type Result } from './result.js'

/** Input of strangers: crafted and mutated images, malformed requests and messages. */
export async function runStrangers({ seed, short, log }: PartOptions): Promise<Result[]> {
  const images = await runHostileImages({ seed, count: short ? 100 : 10_000, log })
  const http = await runFuzzedHttp({ seed, count: short ? 2000 : 100_000, log })
  const sockets = await runFuzzedSockets({ seed, count: short ? 1000 : 20_000, log })
  return [
    {
      ...of('hostile images', images, seed),
      leaked: images.overruns,
      note: `${images.outsideOpens} opens outside, ${images.connections} connections, ${images.overruns} overruns, slowest verdict ${images.slowestMs.toFixed(0)} ms`,
    },
    of('malformed HTTP requests', http, seed),
    of('malformed WebSocket messages', sockets, seed),
  ]
}

function of(part: string, { tried, failures }: { tried: number; failures: string[] }, seed: number): Result {
  const replay = `--only strangers --seed ${seed}`
  return { ...newResult(part), points: tried, failures: failures.map((what) => ({ what, replay })) }
}
