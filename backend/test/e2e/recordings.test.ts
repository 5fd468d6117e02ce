import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import type { Recording } from '../../src/domain/recording.js'
import { type RealGuacd, startRealGuacd } from '../support/real-guacd.js'
import { screenText, vgaFont } from '../support/screen-text.js'
import { untilSeen } from '../support/until.js'
import { openBrowser, type TestBrowser } from './browser.js'
import { freePort, sandlabx, upWith, type LabProcess } from './lab-process.js'

jest.setTimeout(300_000)

const PASSWORD = 'correct horse battery'
let dataDir: string
let guacd: RealGuacd
let lab: LabProcess
let browser: TestBrowser
let page: Page
let font: Map<string, string>
let nodeId: string

/** A person, a browser, a guest and a guacd, all real. */
beforeAll(async () => {
  ;[guacd, font] = await Promise.all([startRealGuacd(), vgaFont()])
  dataDir = await mkdtemp(join(tmpdir(), 'sbx-rec-'))
  lab = await upWith({ SANDLABX_GUACD: `${guacd.host}:${guacd.port}` }, dataDir, await freePort())
  const made = { name: 'desk', image: 'tiny', start: true }
  nodeId = (await api<{ node: { id: string } }>('POST', '/api/nodes', made)).node.id
  browser = await openBrowser(lab.url)
  page = browser.page
  await page.getByLabel('Login').fill(lab.login ?? 'admin')
  await page.getByRole('textbox', { name: 'Password' }).fill(lab.password ?? PASSWORD)
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.getByLabel('Current password').fill(lab.password ?? '')
  await page.getByLabel('New password', { exact: false }).first().fill(PASSWORD)
  await page.getByLabel(/again|repeat|once more/i).fill(PASSWORD)
  await page.getByRole('button', { name: /Set the password/ }).click()
  await page.getByRole('heading', { name: /nodes/i }).first().waitFor()
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

/** The largest canvas in a place, as bright and dark. Runs in the page. */
const pixelsIn = (selector: string) => `(() => {
  const canvases = [...document.querySelectorAll('${selector} canvas')]
  const [canvas] = canvases.sort((a, b) => b.width * b.height - a.width * a.height)
  if (!canvas || canvas.width === 0) return null
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height)
  let letters = ''
  for (let at = 0; at < data.length; at += 4) letters += Math.max(data[at], data[at + 1], data[at + 2]) > 96 ? '1' : '0'
  return { width: canvas.width, height: canvas.height, letters }
})()`

/** A text screen in a picture, as a person reads it. */
async function read(selector: string): Promise<string> {
  const found = (await page.evaluate(pixelsIn(selector))) as { width: number; height: number; letters: string } | null
  if (!found) return ''
  const data = new Uint8Array(found.letters.length * 4)
  for (let at = 0; at < found.letters.length; at += 1) if (found.letters[at] === '1') data[at * 4] = 255
  return screenText({ width: found.width, height: found.height, data }, font)
}

async function untilRead(selector: string, pattern: RegExp): Promise<void> {
  let last = ''
  await untilSeen(
    `the picture shows ${String(pattern)}`,
    async () => {
      last = await read(selector)
      return pattern.test(last)
    },
    90_000,
  ).catch((error: unknown) => {
    throw new Error(`${String(error)}; it shows:\n${last}`, { cause: error })
  })
}

const newest = (kind: Recording['kind']) =>
  untilSeen(
    `a recording of the ${kind} that has ended`,
    async () => {
      const { recordings } = await api<{ recordings: Recording[] }>('GET', `/api/nodes/${nodeId}/recordings`)
      return recordings.find((one) => one.kind === kind && one.endedAt !== null)
    },
    60_000,
  )
const live = '[data-connection=live] [data-testid=screen]'
const sign = () => page.getByText('Recorded', { exact: true })

/** The last moment, by the keyboard. */
async function toTheEnd(): Promise<void> {
  await page.getByRole('slider', { name: 'Moment' }).press('End')
}

describe('recordings, end to end', () => {
  it('are announced in a console that is open when it begins, and in none before', async () => {
    await page.goto(`${lab.url}/nodes/${nodeId}/console?kind=screen`)
    await page.locator(`${live}[data-engine=guacamole]`).waitFor({ timeout: 90_000 })
    expect(await sign().count()).toBe(0)
    await api('PATCH', `/api/nodes/${nodeId}`, { recording: true })
    await sign().waitFor({ timeout: 30_000 })
  })

  it('of a screen are played by Guacamole’s own player, with what was to be seen', async () => {
    await untilRead(live, /login:/)
    await page.locator(live).click()
    await page.keyboard.type('seen-again', { delay: 40 })
    await untilRead(live, /login: seen-again/)
    await page.goto(`${lab.url}/nodes/${nodeId}/sessions`)
    const { id } = await newest('screen')
    await page.locator(`a[href*="/recordings/${id}"]`).first().click()
    await page.getByRole('toolbar', { name: 'Player' }).waitFor({ timeout: 30_000 })
    await toTheEnd()
    await untilRead('[data-testid=replay]', /login: seen-again/)
    await page.getByRole('slider', { name: 'Moment' }).press('Home')
    await page.getByRole('combobox', { name: 'Speed' }).click()
    await page.getByRole('option', { name: '8 ×' }).click()
    await page.getByRole('button', { name: 'Play' }).click()
    await untilRead('[data-testid=replay]', /login: seen-again/)
  })

  it('of a terminal are played, and searched', async () => {
    await page.goto(`${lab.url}/nodes/${nodeId}/console?kind=serial`)
    await sign().waitFor({ timeout: 30_000 })
    await page.getByTestId('terminal').click()
    await page.keyboard.type('\nfind-me-later', { delay: 20 })
    await page
      .getByText(/find-me-later/)
      .first()
      .waitFor({ timeout: 30_000 })
    await page.goto(`${lab.url}/nodes/${nodeId}/sessions`)
    const { id } = await newest('serial')
    await page.goto(`${lab.url}/recordings/${id}`)
    await page.getByLabel('Find in what was shown').fill('ME-later')
    await page.getByText('1 place').waitFor({ timeout: 30_000 })
    await page.getByRole('list', { name: 'Found' }).getByRole('button').click()
    await page
      .getByTestId('replay')
      .getByText(/find-me-later/)
      .first()
      .waitFor({ timeout: 30_000 })
  })

  it('ask no other host, and break no rule of the page', () => {
    expect(browser.foreignRequests).toEqual([])
    expect(browser.complaints).toEqual([])
  })
})
