import type { VerifyLevel, VerifyReport } from '@domain/storage.js'

export const LEVELS: readonly { value: VerifyLevel; title: string; text: string }[] = [
  { value: 'files', title: 'Files', text: 'Is every file there? Takes a moment.' },
  {
    value: 'chain',
    title: 'Chain',
    text: 'Also headers, sizes, what each disk stands on, and the records beside them.',
  },
  { value: 'full', title: 'Full', text: 'Also the content of every disk and image. Reads all of it: takes long.' },
]

export const LEVEL_WORDS: Record<VerifyLevel, string> = {
  files: 'files only',
  chain: 'files and chains',
  full: 'files, chains and content',
}

/** `Everything is well: 31 things looked at.` or `2 of 31 things are not well.` */
export function reportWords({ subjects }: Pick<VerifyReport, 'subjects'>): string {
  const bad = subjects.filter(({ ok }) => !ok).length
  const things = `${subjects.length} ${subjects.length === 1 ? 'thing' : 'things'}`
  return bad === 0
    ? `Everything is well: ${things} looked at.`
    : `${bad} of ${things} ${bad === 1 ? 'is' : 'are'} not well.`
}
