import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chromium, type BrowserContext, type Page } from 'playwright-core'

/** Debian's Chromium, as root and on a machine without a way out. */
const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

/** Answers that the page handles, and a server that the test itself takes away. */
const EXPECTED = /status of (40\d|503)|ERR_CONNECTION_REFUSED|WebSocket connection to/

export interface TestBrowser {
  page: Page
  context: BrowserContext
  /** Addresses of other hosts that the page asked for; must stay empty. */
  foreignRequests: string[]
  /** What the console and the content security policy complained about. */
  complaints: string[]
  close(): Promise<void>
}

export async function openBrowser(url: string): Promise<TestBrowser> {
  const profile = await mkdtemp(join(tmpdir(), 'sandlabx-chromium-'))
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: '/usr/bin/chromium',
    headless: true,
    args: FLAGS,
    viewport: { width: 1440, height: 900 },
    reducedMotion: 'reduce',
  })
  const foreignRequests: string[] = []
  const complaints: string[] = []
  const host = new URL(url).host
  context.on('request', (request) => {
    const asked = new URL(request.url())
    if (asked.host !== host && !['data:', 'blob:'].includes(asked.protocol)) foreignRequests.push(request.url())
  })
  const page = context.pages()[0] ?? (await context.newPage())
  page.on('console', (message) => {
    if (message.type() === 'error' && !EXPECTED.test(message.text())) complaints.push(message.text())
  })
  page.on('pageerror', (error) => complaints.push(String(error)))
  await page.goto(url)
  return {
    page,
    context,
    foreignRequests,
    complaints,
    async close() {
      await context.close()
      await rm(profile, { recursive: true, force: true })
    },
  }
}
