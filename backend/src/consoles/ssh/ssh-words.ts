// What an SSH console says by itself, between what the guest does.

const SOFT = '\u001B[2m'
const PLAIN = '\u001B[0m'

/** In passing, and set apart from what the guest says. */
export function note(text: string): string {
  return `${SOFT}${text}${PLAIN}\r\n`
}

/** To be read. */
function told(...lines: string[]): string {
  return lines.map((line) => `${line}\r\n`).join('')
}

export const waiting = (name: string): string =>
  note(`Waiting for SSH on ${name}: a guest that is starting takes a moment.`)

export function neverCame(name: string, seconds: number, reason: string): string {
  return told(
    `${name} did not answer to SSH within ${seconds} seconds (${reason}).`,
    'Does its guest run an SSH server, and has it an address? Its serial line and its screen need neither.',
  )
}

/** The line can be pasted on the serial console as it is. */
export function refused(name: string, user: string, publicKey: string): string {
  return told(
    `${user}@${name} does not take SandLabX's key.`,
    'A node that was made before there were SSH consoles has not got it; a guest may have changed its user or its keys.',
    'Sign in on the serial console and add it by this line, then try again:',
    '',
    `mkdir -p -m 700 ~/.ssh && echo '${publicKey}' >> ~/.ssh/authorized_keys`,
  )
}

/** A question: `y` or anything else. */
export function otherKey(name: string, before: string, now: string): string {
  const words = told(
    `${name} shows another host key than before:`,
    `  before  ${before}`,
    `  now     ${now}`,
    'So does a guest that was installed anew or has made new keys. If neither was done, do not go on.',
  )
  return `${words}Trust the new key? [y/N] `
}

export const newKeyOfNewDisk = (name: string): string =>
  note(`${name} has another disk than before, and another host key with it.`)

export const NOT_TRUSTED = told('Not trusted. Nothing was sent to it.')

export const noShell = (name: string): string => told(`${name} gave no terminal.`)

export const noWayIn = (name: string, reason: string): string =>
  told(`There is no way to the SSH of ${name} here.`, reason)

export function shellEnded(code: number | null, signal: string | undefined): string {
  const how = signal === undefined ? (code === null ? '' : ` with exit code ${code}`) : ` by SIG${signal}`
  return `\r\n${note(`The session has ended${how}.`)}`
}

export const LOST = `\r\n${told('The connection to the guest is lost.')}`
