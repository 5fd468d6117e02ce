import { transformFile } from '@swc/core'
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

/** The product and these tests as plain modules, for a process of their own: one that may die, or that is watched. */
export interface Program {
  /** Absolute path of a module, named as in the sources: `test/faults/fuzz-backend.js`. */
  path(module: string): string
  remove(): Promise<void>
}

const FOLDERS = ['src', 'test/support', 'test/faults']

/** Translates the sources (types are not looked at) into a temporary folder that finds our libraries. */
export async function compileProgram(): Promise<Program> {
  const root = await backendFolder()
  const target = await mkdtemp(join(tmpdir(), 'sandlabx-program-'))
  await writeFile(join(target, 'package.json'), '{"type":"module"}')
  await symlink(
    join(dirname(createRequire(import.meta.url).resolve('pg/package.json')), '..'),
    `${target}/node_modules`,
  )
  await cp(join(root, 'src/images/recipes'), join(target, 'src/images/recipes'), { recursive: true })
  for (const folder of FOLDERS) {
    const names = await readdir(join(root, folder), { recursive: true })
    const sources = names.filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'))
    await Promise.all(sources.map((name) => compile(join(root, folder, name), join(target, folder, name))))
  }
  return {
    path: (module) => join(target, module),
    remove: () => rm(target, { recursive: true, force: true }),
  }
}

/** The folder of the sources, whether this file runs as TypeScript or compiled into a folder beside them. */
async function backendFolder(): Promise<string> {
  for (let folder = import.meta.dirname; ; folder = dirname(folder)) {
    const text = await readFile(join(folder, 'package.json'), 'utf8').catch(() => '')
    if (text.includes('"@sandlabx/backend"')) return folder
    if (folder === '/') throw new Error('The sources of the backend are not above this file.')
  }
}

async function compile(from: string, to: string): Promise<void> {
  const { code } = await transformFile(from, {
    jsc: { target: 'es2022', parser: { syntax: 'typescript' } },
    module: { type: 'es6' },
  })
  await mkdir(dirname(to), { recursive: true })
  await writeFile(to.replace(/\.ts$/, '.js'), code)
}
