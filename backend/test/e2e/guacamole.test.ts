import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals'
import type { Page } from 'playwright-core'
import { promptDisk } from '../support/echo-guest.js'
import { type RealGuacd, startRealGuacd } from '../support/real-guacd.js'
import { openBrowser, type TestBrowser } from './browser.js'
import { freePort, sandlabx, upWith, type LabProcess } from './lab-process.js'
import { untilScreenShows } from './screen-page.js'

jest.setTimeout(300_000)

const PASSWORD = 'correct horse battery'
let dataDir: string
let guacd: RealGuacd
let lab: LabProcess
let browser: TestBrowser
let page: Page
let nodeId: string

/** A person, a browser, a guest and a guacd, all real. */
beforeAll(async () => {
  guacd = await startRealGuacd()
  dataDir = await mkdtemp(join(tmpdir(), 'sbx-guac-'))
  lab = await upWith({ SANDLABX_GUACD: `${guacd.host}:${guacd.port}` }, dataDir, await freePort())
  const disk = join(dataDir, 'prompt.raw')
  await writeFile(disk, promptDisk('desk login: '))
  const imported = await sandlabx(dataDir, 'image', 'import', disk, '--name', 'prompt', '--upload')
  expect(imported).toMatchObject({ exitCode: 0 })
  const made = { name: 'desk', image: 'prompt', start: true }
  nodeId = (await api<{ node: { id: string } }>('POST', '/api/nodes', made)).node.id
  browser = await openBrowser(lab.url)
  page = browser.page
}, 600_000)

afterAll(async () => {
  await browser?.close()
  await lab?.interrupt()
  if (dataDir) {
    await sandlabx(dataDir, 'down', '--now')
    await rm(dataDir, { recursive: true, force: true })
  }
  await guacd?.kill()
})

async function api<T>(method: string, path: string, body?: object): Promise<T> {
  const token = await readFile(`${dataDir}/state/local-token`, 'utf8')
  const response = await fetch(`${lab.url}${path}`, {
    method,
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    ...(body ? { body: JSON.stringify(body) } : {}),
  })
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`)
  return (await response.json()) as T
}

const screen = (engine: string) => page.locator(`[data-connection=live] [data-testid=screen][data-engine=${engine}]`)

describe('a screen through guacd, end to end', () => {
  it('is shown by Guacamole without a word being said about it', async () => {
    await page.getByLabel('Login').fill(lab.login ?? 'admin')
    await page.getByRole('textbox', { name: 'Password' }).fill(lab.password ?? PASSWORD)
    await page.getByRole('button', { name: 'Sign in' }).click()
    await page.getByLabel('Current password').fill(lab.password ?? '')
    await page.getByLabel('New password', { exact: false }).first().fill(PASSWORD)
    await page.getByLabel(/again|repeat|once more/i).fill(PASSWORD)
    await page.getByRole('button', { name: /Set the password/ }).click()
    await page.getByRole('heading', { name: /nodes/i }).first().waitFor()
    await page.goto(`${lab.url}/nodes/${nodeId}/console?kind=screen`)
    await screen('guacamole').waitFor({ timeout: 90_000 })
    await page.getByRole('button', { name: 'Guacamole' }).waitFor()
  })

  it('shows the login prompt in the picture, and what is typed', async () => {
    await untilScreenShows(page, /desk login:/)
    await screen('guacamole').click()
    await page.keyboard.type('nobody-here', { delay: 40 })
    await untilScreenShows(page, /login: nobody-here/)
    await page.keyboard.press('Enter')
    await untilScreenShows(page, /nobody-here\ndesk login:/)
  })
})
