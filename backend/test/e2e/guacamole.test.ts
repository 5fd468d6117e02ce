import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals'
import type { Page } from 'playwright-core'
import type { Recording } from '../../src/domain/recording.js'
import { promptDisk } from '../support/echo-guest.js'
import { type RealGuacd, startRealGuacd } from '../support/real-guacd.js'
import { untilSeen } from '../support/until.js'
import { openBrowser, type TestBrowser } from './browser.js'
import { freePort, sandlabx, upWith, type LabProcess } from './lab-process.js'
import { lookAt } from './look-around.js'
import { REPLAY, untilScreenShows } from './screen-page.js'
import { serialOf } from './serial-page.js'
import { signInFirst } from './sign-in.js'

jest.setTimeout(300_000)

let dataDir: string
let guacd: RealGuacd
let lab: LabProcess
let nodeId: string
/** The node is a student's; an instructor comes to see it. */
const browsers: TestBrowser[] = []
let sam: Page
let ina: Page

/** Two people with a browser each, a guest and a guacd, all real. */
beforeAll(async () => {
  guacd = await startRealGuacd()
  dataDir = await mkdtemp(join(tmpdir(), 'sbx-guac-'))
  lab = await upWith({ SANDLABX_GUACD: `${guacd.host}:${guacd.port}` }, dataDir, await freePort())
  const disk = join(dataDir, 'prompt.raw')
  await writeFile(disk, promptDisk('desk login: '))
  const imported = await sandlabx(dataDir, 'image', 'import', disk, '--name', 'prompt', '--upload')
  expect(imported).toMatchObject({ exitCode: 0 })
  const student = await person('sam', 'student')
  const made = { name: 'desk', image: 'prompt', ownerId: student.id, start: true }
  nodeId = (await api<{ node: { id: string } }>('POST', '/api/nodes', made)).node.id
  sam = await browserOf(student)
  ina = await browserOf(await person('ina', 'instructor'))
}, 600_000)

afterAll(async () => {
  for (const browser of browsers) await browser.close()
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

interface Made {
  id: string
  login: string
  password: string
}

async function person(login: string, role: string): Promise<Made> {
  const { user, password } = await api<{ user: { id: string }; password: string }>('POST', '/api/users', {
    login,
    role,
  })
  return { id: user.id, login, password }
}

async function browserOf({ login, password }: Made): Promise<Page> {
  const browser = await openBrowser(lab.url)
  browsers.push(browser)
  await signInFirst(browser.page, { login, password, ownPassword: `correct horse battery ${login}` })
  return browser.page
}

const console = (kind: 'screen' | 'serial') => `${lab.url}/nodes/${nodeId}/console?kind=${kind}`
const screen = (page: Page, engine: 'guacamole' | 'direct') =>
  page.locator(`[data-connection=live] [data-testid=screen][data-engine=${engine}]`)

/** Types what no earlier test typed, and reads it. */
async function typeAndRead(page: Page, word: string): Promise<void> {
  await page.locator('[data-connection=live] [data-testid=screen]').click()
  await page.keyboard.type(`${word}\n`, { delay: 40 })
  await untilScreenShows(page, new RegExp(`login: \\S*${word}\n`))
}

async function chooseEngine(page: Page, from: string, to: string): Promise<void> {
  await page.getByRole('button', { name: from, exact: true }).click()
  await page.getByRole('menuitem', { name: to }).click()
}

const faults: string[] = []

describe('a screen through guacd, end to end', () => {
  it('is shown by Guacamole without a word being said about it', async () => {
    await sam.goto(console('screen'))
    await screen(sam, 'guacamole').waitFor({ timeout: 90_000 })
    await sam.getByRole('button', { name: 'Guacamole' }).waitFor()
  })

  it('shows the login prompt in the picture, and what is typed', async () => {
    await untilScreenShows(sam, /desk login:/)
    await typeAndRead(sam, 'nobody-here')
    await untilScreenShows(sam, /nobody-here\ndesk login:/)
  })

  it('takes a text that is typed for the person, and keys that the browser would keep', async () => {
    await sam.getByRole('button', { name: 'Type text' }).click()
    await sam.getByLabel('Text', { exact: true }).fill('Typed: "all of it" {1 + 1} ~#|\\\n')
    await sam.getByRole('button', { name: 'Type 32 characters' }).click()
    await untilScreenShows(sam, /login: Typed: "all of it" \{1 \+ 1\} ~#\|\\\n/)
    for (const [name, shown] of [
      ['Ctrl+W', /login: \^W/],
      ['Esc', /login: \^W\^\[/],
    ] as const) {
      await sam.getByRole('button', { name: 'Send keys' }).click()
      await sam.getByRole('menuitem', { name, exact: true }).click()
      await untilScreenShows(sam, shown)
    }
  })

  it('is switched to Direct and back, on the same picture', async () => {
    await chooseEngine(sam, 'Guacamole', 'Direct (noVNC)')
    await screen(sam, 'direct').waitFor({ timeout: 30_000 })
    await untilScreenShows(sam, /login: \^W\^\[/)
    await typeAndRead(sam, 'typed-directly')
    await chooseEngine(sam, 'Direct', 'Guacamole where it answers, else Direct')
    await screen(sam, 'guacamole').waitFor({ timeout: 30_000 })
    await untilScreenShows(sam, /typed-directly\ndesk login:/)
    await typeAndRead(sam, 'and-back')
  })
})

describe('guacd dies while a screen is open', () => {
  it('falls back to Direct with a notice, and comes back by itself', async () => {
    await guacd.kill()
    await screen(sam, 'direct').waitFor({ timeout: 60_000 })
    await sam
      .getByRole('status')
      .getByText(/No guacd answers.*directly/)
      .waitFor()
    await typeAndRead(sam, 'without-guacd')
    faults.push(...(await lookAt(sam, 'screen-fallback')))
    await guacd.start()
    await screen(sam, 'guacamole').waitFor({ timeout: 60_000 })
    await sam.getByText(/No guacd answers/).waitFor({ state: 'detached' })
    await typeAndRead(sam, 'guacd-again')
  })
})

describe('an instructor at a student’s screen', () => {
  it('is seen coming, and sees without typing', async () => {
    await ina.goto(console('screen'))
    await screen(ina, 'guacamole').waitFor({ timeout: 60_000 })
    await untilScreenShows(ina, /guacd-again\ndesk login:/)
    await sam.getByRole('listitem', { name: 'ina is on the screen' }).waitFor()
    await ina.getByRole('listitem', { name: 'sam types on the screen' }).waitFor()
    await screen(ina, 'guacamole').click()
    await ina.keyboard.type('unheard', { delay: 20 })
    await typeAndRead(sam, 'heard')
    expect(await untilScreenShows(ina, /login: heard\n/)).not.toMatch(/unheard/)
  })

  it('takes control, which the student sees, and hands it back', async () => {
    await ina.getByRole('button', { name: 'Take control' }).click()
    await ina.getByText('You have control').waitFor()
    await sam.getByText('ina has control').waitFor()
    await sam.keyboard.type('not-mine-now', { delay: 20 })
    await typeAndRead(ina, 'let-me-show-you')
    expect(await untilScreenShows(sam, /let-me-show-you\n/)).not.toMatch(/not-mine-now/)
    // `t` shows the tasks elsewhere: what is typed on a screen, for the guest or in vain, is none of the page's shortcuts.
    for (const page of [sam, ina]) expect(await page.getByRole('link', { name: 'All operations' }).count()).toBe(0)
    faults.push(...(await lookAt(sam, 'screen-watched')), ...(await lookAt(ina, 'screen-control')))
    await ina.getByRole('button', { name: 'Release' }).click()
    await sam.getByText('You have control').waitFor()
    await typeAndRead(sam, 'mine-again')
    await ina.goto(`${lab.url}/nodes`)
    await sam.getByText('You have control').waitFor({ state: 'detached' }) // nobody else is there
  })
})

describe('a recording', () => {
  const sign = () => sam.getByText(/^Recorded/)
  const finished = (kind: Recording['kind']) =>
    untilSeen(`a recording of the ${kind} that has ended`, async () => {
      const { recordings } = await api<{ recordings: Recording[] }>('GET', `/api/nodes/${nodeId}/recordings`)
      return recordings.find((one) => one.kind === kind && one.endedAt !== null)
    })

  it('is announced in a console that is open when it begins, and not before', async () => {
    expect(await sign().count()).toBe(0)
    await api('PATCH', `/api/nodes/${nodeId}`, { recording: true })
    await sign().waitFor({ timeout: 30_000 })
    await screen(sam, 'guacamole').waitFor()
  })

  it('of a screen is found in the node’s sessions and played, with what was to be seen', async () => {
    await typeAndRead(sam, 'seen-again')
    await sam.goto(console('serial'))
    const { id } = await finished('screen')
    await ina.goto(`${lab.url}/nodes/${nodeId}/sessions`)
    await ina.locator(`a[href*="/recordings/${id}"]`).first().waitFor()
    faults.push(...(await lookAt(ina, 'sessions-with-recording')))
    await ina.locator(`a[href*="/recordings/${id}"]`).first().click()
    await ina.getByRole('toolbar', { name: 'Player' }).waitFor({ timeout: 30_000 })
    const moment = ina.getByRole('slider', { name: 'Moment' })
    await moment.press('End')
    await untilScreenShows(ina, /login: seen-again\n/, { place: REPLAY })
    faults.push(...(await lookAt(ina, 'replay-screen')))
    await moment.press('Home')
    await ina.getByRole('combobox', { name: 'Speed' }).click()
    await ina.getByRole('option', { name: '8 ×' }).click()
    await ina.getByRole('button', { name: 'Play' }).click()
    await untilScreenShows(ina, /login: seen-again\n/, { place: REPLAY })
  })

  it('of a serial line is played, and searched', async () => {
    await sign().waitFor({ timeout: 30_000 })
    const serial = await serialOf(sam)
    await serial.type('find-me-later\n')
    await serial.waitFor(/login: find-me-later/)
    await sam.goto(`${lab.url}/nodes`)
    const { id } = await finished('serial')
    await ina.goto(`${lab.url}/recordings/${id}`)
    await ina.getByLabel('Find in what was shown').fill('ME-later')
    await ina.getByText('1 place').waitFor({ timeout: 30_000 })
    await ina.getByRole('list', { name: 'Found' }).getByRole('button').click()
    await ina.locator(`${REPLAY} .xterm-rows > div`, { hasText: 'find-me-later' }).waitFor()
    // Without the terminal's own style its hidden field for keys lies over the first letters.
    const field = `getComputedStyle(document.querySelector('${REPLAY} .xterm-helper-textarea')).opacity`
    expect(await ina.evaluate(field)).toBe('0')
    faults.push(...(await lookAt(ina, 'replay-serial')))
  })
})

describe('all of it', () => {
  it('asks no other host, breaks no rule of the page, and looks right narrow and wide', () => {
    for (const { foreignRequests, complaints } of browsers)
      expect({ foreignRequests, complaints }).toEqual({
        foreignRequests: [],
        complaints: [],
      })
    expect(faults).toEqual([])
  })
})
