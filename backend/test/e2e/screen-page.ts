import type { Page } from 'playwright-core'
import { screenText, vgaFont, type ScreenPixels } from '../support/screen-text.js'
import { untilSeen } from '../support/until.js'

/** What the engine has drawn last, not the picture that is kept from before. Runs in the page. */
const PIXELS = `(() => {
  const canvases = [...document.querySelectorAll('[data-connection=live] [data-testid=screen] canvas')]
  const [canvas] = canvases.sort((a, b) => b.width * b.height - a.width * a.height)
  if (!canvas || canvas.width === 0) return null
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height)
  let letters = ''
  for (let at = 0; at < data.length; at += 4) letters += Math.max(data[at], data[at + 1], data[at + 2]) > 96 ? '1' : '0'
  return { width: canvas.width, height: canvas.height, letters }
})()`

/** Waits until the screen console on the page reads so, as a person reads the picture; answers with all that it shows. */
export async function untilScreenShows(page: Page, pattern: RegExp, withinMs = 90_000): Promise<string> {
  const font = await vgaFont()
  let last = ''
  try {
    return await untilSeen(
      `the picture shows ${String(pattern)}`,
      async () => {
        last = await readScreen(page, font)
        return pattern.test(last) && last
      },
      withinMs,
    )
  } catch (error) {
    throw new Error(`${String(error)}; it shows:\n${last}`, { cause: error })
  }
}

async function readScreen(page: Page, font: Map<string, string>): Promise<string> {
  const found = (await page.evaluate(PIXELS)) as { width: number; height: number; letters: string } | null
  if (!found) return ''
  const data = new Uint8Array(found.letters.length * 4)
  for (let at = 0; at < found.letters.length; at += 1) if (found.letters[at] === '1') data[at * 4] = 255
  const pixels: ScreenPixels = { width: found.width, height: found.height, data }
  return screenText(pixels, font)
}
