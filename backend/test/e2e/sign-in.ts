import type { Page } from 'playwright-core'

/** Signs in with a password that somebody else chose, and replaces it, as everybody's first time is. */
export async function signInFirst(
  page: Page,
  { login, password, ownPassword }: { login: string; password: string; ownPassword: string },
): Promise<void> {
  await page.getByLabel('Login').fill(login)
  await page.getByRole('textbox', { name: 'Password' }).fill(password)
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.getByLabel('Current password').fill(password)
  await page.getByLabel('New password', { exact: false }).first().fill(ownPassword)
  await page.getByLabel(/again|repeat|once more/i).fill(ownPassword)
  await page.getByRole('button', { name: /Set the password/ }).click()
  await page.getByRole('link', { name: /nodes/i }).first().waitFor()
}
