import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals'
import type { Page } from 'playwright-core'
import { openBrowser, type TestBrowser } from './browser.js'
import { untilSeen } from '../support/until.js'
import { freePort, sandlabx, up, type LabProcess } from './lab-process.js'
import { lookAround } from './look-around.js'
import { untilScreenShows } from './screen-page.js'
import { serialOf, signInOnSerial } from './serial-page.js'

jest.setTimeout(600_000)

/** The whole promise in one thread: a person, a browser, a real guest, and everything stopped and started again. */
let dataDir: string
let port: number
let lab: LabProcess
let browser: TestBrowser
let page: Page
const PASSWORD = 'correct horse battery'

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'sandlabx-e2e-')) // mode 0700, as root's own folders are
  port = await freePort()
  lab = await up(dataDir, port)
  browser = await openBrowser(lab.url)
  page = browser.page
})

afterAll(async () => {
  await browser?.close()
  await lab?.interrupt()
  if (dataDir) {
    await sandlabx(dataDir, 'down', '--now')
    await rm(dataDir, { recursive: true, force: true })
  }
})

const api = async <T>(path: string): Promise<T> => {
  const token = await readFile(`${dataDir}/state/local-token`, 'utf8')
  const response = await fetch(`${lab.url}${path}`, { headers: { authorization: `Bearer ${token}` } })
  return (await response.json()) as T
}
interface NodeAnswer {
  nodes: { id: string; name: string; status: string }[]
}
const nodeNamed = async (name: string) => (await api<NodeAnswer>('/api/nodes')).nodes.find((node) => node.name === name)
const qemuPid = async (id: string) => {
  const launch = await readFile(`${dataDir}/run/${id.replaceAll('-', '').slice(0, 12)}/pid`, 'utf8')
  return Number(launch.trim())
}
const statusIs = (name: string, status: string, withinMs = 90_000) =>
  untilSeen(`${name} is ${status}`, async () => (await nodeNamed(name))?.status === status, withinMs)

async function signIn(): Promise<void> {
  await page.getByLabel('Login').fill(lab.login ?? 'admin')
  await page.getByRole('textbox', { name: 'Password' }).fill(lab.password ?? PASSWORD)
  await page.getByRole('button', { name: 'Sign in' }).click()
}

describe('the foundation, end to end', () => {
  it('prints the address and a generated password, which must be changed at once', async () => {
    expect(lab.login).toBe('admin')
    expect(lab.password?.length).toBeGreaterThanOrEqual(16)
    await signIn()
    await page.getByLabel('Current password').fill(lab.password ?? '')
    await page.getByLabel('New password', { exact: false }).first().fill(PASSWORD)
    await page.getByLabel(/again|repeat|once more/i).fill(PASSWORD)
    await page.getByRole('button', { name: /Set the password/ }).click()
    await page.getByRole('heading', { name: /nodes/i }).first().waitFor()
    await expect(readFile(`${dataDir}/state/first-login`)).rejects.toThrow()
  })

  it('builds the starter images while people can already work', async () => {
    const images = async () => (await api<{ images: { id: string }[] }>('/api/images')).images.map((image) => image.id)
    expect(await images()).toContain('tiny')
    await untilSeen('debian-12 is built', async () => (await images()).includes('debian-12'), 420_000)
  })

  it('creates a node from debian-12 and starts it', async () => {
    await page.goto(`${lab.url}/nodes`)
    await page
      .getByRole('link', { name: 'New node' })
      .or(page.getByRole('button', { name: 'New node' }))
      .first()
      .click()
    const dialog = page.getByRole('dialog')
    await dialog
      .getByRole('radio', { name: /Debian 12/ })
      .first()
      .check({ force: true })
    await dialog.getByLabel('Name', { exact: true }).fill('web')
    await dialog.getByLabel('User', { exact: true }).fill('ann')
    await dialog.getByLabel('Password', { exact: true }).fill('kept-in-the-test')
    await dialog.getByRole('button', { name: /Create and start web/ }).click()
    await page.getByRole('link', { name: 'Open web' }).click()
    await statusIs('web', 'running')
  })

  it('signs in on the serial console and writes a file', async () => {
    await page.goto(`${lab.url}/nodes/${(await nodeNamed('web'))!.id}/console`)
    const serial = await serialOf(page)
    await signInOnSerial(serial, 'ann', 'kept-in-the-test')
    await serial.type('echo "found as it was left" > ~/left.txt; sync; hostname\n')
    await serial.waitFor(/^web$/m)
  })

  it('reads the screen console, and types on it', async () => {
    await page.getByRole('button', { name: 'Screen', exact: true }).click()
    const canvas = page.locator('[data-connection="live"] canvas').last() // the first keeps the last picture
    await canvas.waitFor()
    await untilScreenShows(page, /^web login:/m)
    await canvas.click()
    await page.keyboard.type('ann\n', { delay: 60 })
    await untilScreenShows(page, /^Password:/m)
    await page.keyboard.type('kept-in-the-test\n', { delay: 60 })
    await untilScreenShows(page, /ann@web:.*\$|^~? ?\$/m)
    await page.keyboard.type('touch /tmp/typed-on-the-screen\n', { delay: 60 })
    await untilScreenShows(page, /touch \/tmp\/typed-on-the-screen/)
    await page.getByRole('button', { name: 'Serial', exact: true }).click()
    const serial = await serialOf(page)
    await serial.type('ls /tmp/typed*\n')
    await serial.waitFor(/^\/tmp\/typed-on-the-screen/m)
  })

  it('looks right at three widths in both themes, without a serious accessibility fault', async () => {
    await lookAround(page, lab.url, (await nodeNamed('web'))!.id)
  })

  it('adopts the running node after kill -9 of the backend: same QEMU process, the console comes back', async () => {
    const { id } = (await nodeNamed('web'))!
    const pid = await qemuPid(id)
    await page.goto(`${lab.url}/nodes/${id}/console`)
    const serial = await serialOf(page)
    await serial.type('n=41\n')
    const backend = JSON.parse(await readFile(`${dataDir}/run/backend.json`, 'utf8')) as { pid: number }
    process.kill(backend.pid, 'SIGKILL')
    await untilSeen('./sandlabx up has noticed', async () => lab.child.exitCode !== null, 60_000)
    lab = await up(dataDir, port)
    expect(await qemuPid(id)).toBe(pid)
    await statusIs('web', 'running')
    const again = await serialOf(page) // the same page reconnected by itself
    await again.type('echo $((n + 1))\n')
    await again.waitFor(/^42$/m)
  })

  it('Ctrl-C leaves nodes running, and the next up adopts them', async () => {
    const { id } = (await nodeNamed('web'))!
    const pid = await qemuPid(id)
    await lab.interrupt()
    expect(() => process.kill(pid, 0)).not.toThrow()
    lab = await up(dataDir, port)
    expect(await qemuPid(id)).toBe(pid)
    await statusIs('web', 'running')
  })

  it('finds the file after stop, down, up and start', async () => {
    const stopped = await sandlabx(dataDir, 'stop', 'web')
    expect(stopped).toMatchObject({ exitCode: 0 })
    const down = await sandlabx(dataDir, 'down')
    expect(down).toMatchObject({ exitCode: 0 })
    lab = await up(dataDir, port)
    expect((await nodeNamed('web'))?.status).toBe('stopped')
    await page.goto(`${lab.url}/nodes/${(await nodeNamed('web'))!.id}/console`)
    await page
      .getByRole('button', { name: /^Start/ })
      .first()
      .click()
    await statusIs('web', 'running')
    const serial = await serialOf(page)
    await signInOnSerial(serial, 'ann', 'kept-in-the-test')
    await serial.type('cat left.txt\n')
    await serial.waitFor(/^found as it was left$/m)
  })

  it('asked nobody but the lab for anything, and broke no rule of its content policy', () => {
    expect(browser.foreignRequests).toEqual([])
    expect(browser.complaints).toEqual([])
  })
})
