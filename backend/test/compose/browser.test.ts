import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it, jest } from '@jest/globals'
import type { Page } from 'playwright-core'
import { openBrowser, type TestBrowser } from '../e2e/browser.js'
import { untilScreenShows } from '../e2e/screen-page.js'
import { signInFirst } from '../e2e/sign-in.js'
import { promptDisk } from '../support/echo-guest.js'
import { openStack, requireEngine, type Stack } from './stack.js'

jest.setTimeout(600_000)

let stack: Stack
let browser: TestBrowser

beforeAll(async () => {
  await requireEngine()
  stack = await openStack()
  await stack.open()
  await writeFile(join(stack.folder, 'images/prompt.raw'), promptDisk('desk login: '))
  await stack.sandlabx('image', 'import', '/images/prompt.raw', '--name', 'prompt')
}, 900_000)
afterAll(async () => {
  await browser?.close()
  await stack?.remove()
}, 300_000)

const SCREEN = '[data-connection=live] [data-testid=screen][data-engine=guacamole]'

async function typeAndRead(page: Page, word: string, shown: RegExp): Promise<void> {
  await page.locator(SCREEN).click()
  await page.keyboard.type(`${word}\n`, { delay: 40 })
  await untilScreenShows(page, shown)
}

it('somebody types at a login prompt seen through Guacamole, and types on at the same one after `down` and `up`', async () => {
  const [, password = ''] = /^Password\s+(\S+)/m.exec(await stack.sandlabx('admin', 'first-login')) ?? []
  browser = await openBrowser(stack.url)
  const { page } = browser
  await signInFirst(page, { login: 'admin', password, ownPassword: 'correct horse battery admin' })
  const { send } = await stack.administrator()
  const made = await send('POST', '/api/nodes', { name: 'desk', image: 'prompt', start: true })
  expect(made).toMatchObject({ status: 201, body: { startError: null } })
  await page.goto(`${stack.url}/nodes/${made.body.node.id}/console?kind=screen`)
  await page.locator(SCREEN).waitFor({ timeout: 120_000 })
  await untilScreenShows(page, /desk login:/)
  await typeAndRead(page, 'before', /desk login: before\ndesk login:/)

  await stack.compose('down')
  await page.locator(SCREEN).waitFor({ state: 'detached', timeout: 60_000 })
  await stack.up()

  // The page was not touched: it has found its way back by itself.
  await page.locator(SCREEN).waitFor({ timeout: 180_000 })
  await typeAndRead(page, 'after', /desk login: before\ndesk login: after\ndesk login:/)
  expect(browser.foreignRequests).toEqual([])
})
