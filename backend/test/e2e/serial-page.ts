import type { Page } from 'playwright-core'
import { untilSeen } from '../support/until.js'

export interface SerialOnPage {
  type(text: string): Promise<void>
  text(): Promise<string>
  /** Waits for new or old lines on the terminal's visible part. */
  waitFor(pattern: RegExp, withinMs?: number): Promise<void>
}

/** The xterm of the page, as a person uses it: keys in, rows read. Waits until it is connected: earlier keys go nowhere. */
export async function serialOf(page: Page): Promise<SerialOnPage> {
  const terminal = page.locator('.xterm').first()
  await terminal.waitFor({ timeout: 60_000 })
  await page.locator('[data-connection="live"]').first().waitFor({ timeout: 60_000 })
  const text = async () => {
    const rows = await page.locator('.xterm-rows > div').allTextContents()
    return rows.map((row) => row.replaceAll('\u00a0', ' ').trimEnd()).join('\n')
  }
  return {
    text,
    async type(characters) {
      await page.locator('.xterm-helper-textarea').first().focus()
      await page.keyboard.type(characters, { delay: 15 })
    },
    async waitFor(pattern, withinMs = 60_000) {
      await untilSeen(`the serial console shows ${pattern}`, async () => pattern.test(await text()), withinMs).catch(
        async (error: Error) => {
          throw new Error(`${error.message}; it shows:\n${await text()}`)
        },
      )
    },
  }
}

/** Presses Enter until there is a login, signs in, and waits for the shell. */
export async function signInOnSerial(serial: SerialOnPage, user: string, password: string): Promise<void> {
  await untilSeen(
    'a login on the serial console',
    async () => {
      if (/login: *$/m.test((await serial.text()).trimEnd())) return true
      await serial.type('\n')
      await new Promise((resolve) => setTimeout(resolve, 1000))
      return undefined
    },
    120_000,
  )
  await serial.type(`${user}\n`)
  await serial.waitFor(/Password:/)
  await serial.type(`${password}\n`)
  await serial.waitFor(/[$#] *$/m)
}
