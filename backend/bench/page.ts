import { fileURLToPath } from 'node:url'
import { openBrowser } from '../test/e2e/browser.js'
import { addTestImage, startTestLab } from '../test/support/lab.js'
import { manyRecords } from './api.js'
import { median, timed, type Bench } from './bench.js'

const NODES = 100
const ROUNDS = 7
const PAGE = fileURLToPath(new URL('../../../frontend/dist', import.meta.url))

export const benches: Bench[] = [
  { name: `a page load behind ${NODES} nodes, until the list is seen`, goal: 1000, unit: 'ms', run: loadPage },
]

/** In a real browser, which knows nothing yet and keeps nothing: each load fetches all of it. */
async function loadPage() {
  const lab = await startTestLab({ pageFolder: PAGE })
  const { services } = lab.backend
  const store = services.lab!.store
  const image = await addTestImage(services.config.layout, store)
  const person = await lab.person('administrator')
  await store.change((draft) => void draft.nodes.push(...manyRecords(NODES, person.id, image.fingerprint)))
  const browser = await openBrowser(lab.url)
  try {
    const { page, context } = browser
    await page.getByLabel('Login').fill(person.login)
    await page.getByRole('textbox', { name: 'Password' }).fill(`password of ${person.login}`)
    await page.getByRole('button', { name: 'Sign in' }).click()
    const seen = () =>
      page
        .getByRole('link', { name: /^node-\d+$/ })
        .first()
        .waitFor()
    await seen()
    const debug = await context.newCDPSession(page)
    await debug.send('Network.setCacheDisabled', { cacheDisabled: true })
    const load = () =>
      timed(async () => {
        await page.goto(`${lab.url}/nodes`, { waitUntil: 'commit' })
        await seen()
      })
    const cold: number[] = []
    for (let round = 0; round < ROUNDS; round += 1) cold.push(await load())
    await debug.send('Network.setCacheDisabled', { cacheDisabled: false })
    await load()
    const again: number[] = []
    for (let round = 0; round < ROUNDS; round += 1) again.push(await load())
    const detail = `median of ${ROUNDS}; from the browser's cache ${median(again).toFixed(0)} ms`
    return { ratio: median(cold), detail }
  } finally {
    await browser.close()
    await lab.close()
  }
}
