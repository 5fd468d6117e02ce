import type { Page } from 'playwright-core'
import { screenText, vgaFont, type ScreenPixels } from '../support/screen-text.js'
import { untilSeen } from '../support/until.js'

/** Where a console is seen that is connected, and where a recording is played. */
const LIVE = '[data-connection=live] [data-testid=screen]'
export const REPLAY = '[data-testid=replay]'

/** What the engine has drawn last, not the picture that is kept from before. Runs in the page. */
const pixelsIn = (place: string) => `(() => {
  const canvases = [...document.querySelectorAll('${place} canvas')]
  const [canvas] = canvases.sort((a, b) => b.width * b.height - a.width * a.height)
  if (!canvas || canvas.width === 0) return null
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height)
  let letters = ''
  for (let at = 0; at < data.length; at += 4) letters += Math.max(data[at], data[at + 1], data[at + 2]) > 96 ? '1' : '0'
  return { width: canvas.width, height: canvas.height, letters }
})()`

/** Waits until the screen console on the page reads so, as a person reads the picture; answers with all that it shows. */
export async function untilScreenShows(
  page: Page,
  pattern: RegExp,
  { withinMs = 90_000, place = LIVE } = {},
): Promise<string> {
  const font = await vgaFont()
  let last = ''
  try {
    return await untilSeen(
      `the picture shows ${String(pattern)}`,
      async () => {
        last = await readScreen(page, font, place)
        return pattern.test(last) && last
      },
      withinMs,
    )
  } catch (error) {
    throw new Error(`${String(error)}; it shows:\n${last}`, { cause: error })
  }
}

async function readScreen(page: Page, font: Map<string, string>, place: string): Promise<string> {
  const found = (await page.evaluate(pixelsIn(place))) as { width: number; height: number; letters: string } | null
  if (!found) return ''
  const data = new Uint8Array(found.letters.length * 4)
  for (let at = 0; at < found.letters.length; at += 1) if (found.letters[at] === '1') data[at * 4] = 255
  const pixels: ScreenPixels = { width: found.width, height: found.height, data }
  return screenText(pixels, font)
}
