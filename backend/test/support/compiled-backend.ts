import { transformFile } from '@swc/core'
import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'

/** The sources as plain ES modules, for tests that need a process of its own to kill. */
export interface CompiledSources {
  /** Absolute path of a module, named as in the sources: `system/postgres.js`. */
  path(module: string): string
  remove(): Promise<void>
}

/** Translates whole rooms of `src/` (types are not looked at) into a temporary folder that finds our libraries. */
export async function compileSources(rooms: string[]): Promise<CompiledSources> {
  const source = join(import.meta.dirname, '..', '..', 'src')
  const target = await mkdtemp(join(tmpdir(), 'sandlabx-compiled-'))
  await writeFile(join(target, 'package.json'), '{"type":"module"}')
  const libraries = join(dirname(createRequire(import.meta.url).resolve('pg/package.json')), '..')
  await symlink(libraries, join(target, 'node_modules'))
  for (const room of rooms) {
    const names = await readdir(join(source, room), { recursive: true })
    for (const name of names.filter((one) => one.endsWith('.ts') && !one.endsWith('.test.ts'))) {
      await compile(join(source, room, name), join(target, relative(source, join(source, room, name))))
    }
  }
  return {
    path: (module) => join(target, module),
    remove: () => rm(target, { recursive: true, force: true }),
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
