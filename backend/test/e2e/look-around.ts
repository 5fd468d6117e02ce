import { mkdir, readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { expect } from '@jest/globals'
import type { AxeResults } from 'axe-core'
import type { Page } from 'playwright-core'

const PICTURES = fileURLToPath(new URL('../../../docs/pictures', import.meta.url))
const ALL_PICTURES = fileURLToPath(new URL('../../test-results/pictures', import.meta.url))
/** Kept in the repository; the others are for whoever looks at a run. */
const SHOWN = new Set([
  'nodes-light-wide',
  'node-dark-wide',
  'console-dark-wide',
  'images-light-wide',
  'console-light-narrow',
])
const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js')

const WIDTHS = [
  { name: 'wide', width: 1440, height: 900 },
  { name: 'middle', width: 1024, height: 768 },
  { name: 'narrow', width: 390, height: 844 },
] as const
const THEMES = ['light', 'dark'] as const

/** Each screen at each width in both themes: a picture for the docs, no sideways scrolling, nothing that axe finds serious. */
export async function lookAround(page: Page, url: string, nodeId: string): Promise<void> {
  const screens = {
    nodes: '/nodes',
    node: `/nodes/${nodeId}`,
    console: `/nodes/${nodeId}/console`,
    disk: `/nodes/${nodeId}/disk`,
    snapshots: `/nodes/${nodeId}/snapshots`,
    events: `/nodes/${nodeId}/events`,
    sessions: `/nodes/${nodeId}/sessions`,
    settings: `/nodes/${nodeId}/settings`,
    images: '/images',
    storage: '/storage',
    trash: '/storage?tab=trash',
    verify: '/storage?tab=verify',
    people: '/people',
    audit: '/audit',
    health: '/health',
    account: '/account',
  }
  await mkdir(PICTURES, { recursive: true })
  await mkdir(ALL_PICTURES, { recursive: true })
  const faults: string[] = []
  for (const theme of THEMES) {
    await page.emulateMedia({ colorScheme: theme, reducedMotion: 'reduce' })
    for (const [screen, path] of Object.entries(screens)) {
      await page.goto(url + path)
      await page.locator('main, [role=main]').first().waitFor()
      await page.waitForLoadState('networkidle').catch(() => undefined) // live sockets may keep it busy
      for (const { name, width, height } of WIDTHS) {
        await page.setViewportSize({ width, height })
        await page.evaluate('document.fonts.ready.then(() => true)')
        await page.waitForTimeout(300) // layout after the resize; there is no event for "done"
        const picture = `${screen}-${theme}-${name}`
        await page.screenshot({ path: `${SHOWN.has(picture) ? PICTURES : ALL_PICTURES}/${picture}.png` })
        const sideways = Number(await page.evaluate('document.documentElement.scrollWidth - window.innerWidth'))
        if (sideways > 1) faults.push(`${screen} ${theme} ${name}: scrolls ${sideways} px sideways`)
      }
      await page.setViewportSize({ width: 1440, height: 900 })
      faults.push(...(await axeFaults(page)).map((fault) => `${screen} ${theme}: ${fault}`))
    }
  }
  await page.emulateMedia({ colorScheme: null })
  expect(faults).toEqual([])
}

/** The page as it stands now, wide and narrow: a picture of each, and what is wrong with it. */
export async function lookAt(page: Page, name: string): Promise<string[]> {
  await mkdir(ALL_PICTURES, { recursive: true })
  const faults: string[] = []
  for (const { name: size, width, height } of [WIDTHS[2], WIDTHS[0]]) {
    await page.setViewportSize({ width, height })
    await page.waitForTimeout(300) // as above
    await page.screenshot({ path: `${ALL_PICTURES}/${name}-${size}.png` })
    const sideways = Number(await page.evaluate('document.documentElement.scrollWidth - window.innerWidth'))
    if (sideways > 1) faults.push(`${name} ${size}: scrolls ${sideways} px sideways`)
  }
  return [...faults, ...(await axeFaults(page)).map((fault) => `${name}: ${fault}`)]
}

async function axeFaults(page: Page): Promise<string[]> {
  // Through the debugger, not as a script of the page: its content policy allows none.
  await page.evaluate(await readFile(AXE, 'utf8'))
  const rules = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice']
  const options = JSON.stringify({ resultTypes: ['violations'], runOnly: rules })
  const results: AxeResults = await page.evaluate(`axe.run(${options})`)
  return results.violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(
      ({ id, help, nodes }) =>
        `${id}: ${help} (${nodes
          .slice(0, 3)
          .map((node) => node.target.join(' '))
          .join(' | ')})`,
    )
}
