import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { readConfig } from './config.js'

describe('the environment', () => {
  let folder: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sandlabx-config-'))
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  const config = (more: Record<string, string>) => readConfig({ SANDLABX_DATA: '/data', ...more })

  it('names a database by its parts, with the password from a file', async () => {
    const file = join(folder, 'password')
    await writeFile(file, 'p@ss/word\n')
    const { databaseUrl } = config({ DATABASE_HOST: 'postgres', DATABASE_PASSWORD_FILE: file })
    expect(databaseUrl).toBe('postgresql://sandlabx:p%40ss%2Fword@postgres:5432/sandlabx')
  })

  it('has no database without a host, and lets DATABASE_URL win', () => {
    expect(config({ DATABASE_USER: 'anna' }).databaseUrl).toBeUndefined()
    expect(config({ DATABASE_HOST: 'a', DATABASE_URL: 'postgresql:///b' }).databaseUrl).toBe('postgresql:///b')
  })

  it('says which password file is missing or empty', async () => {
    const file = join(folder, 'empty')
    await writeFile(file, '\n')
    expect(() => config({ DATABASE_HOST: 'a', DATABASE_PASSWORD_FILE: '/no/such' })).toThrow('/no/such')
    expect(() => config({ DATABASE_HOST: 'a', DATABASE_PASSWORD_FILE: file })).toThrow('is empty')
  })

  it('takes a base path with and without a slash at its end, and nothing that is no path', () => {
    expect(config({}).basePath).toBe('')
    expect(config({ SANDLABX_BASE_PATH: '/' }).basePath).toBe('')
    expect(config({ SANDLABX_BASE_PATH: '/lab/one/' }).basePath).toBe('/lab/one')
    for (const path of ['lab', '/la b', '//evil.example', '/a"b', '/lab?x'])
      expect(() => config({ SANDLABX_BASE_PATH: path })).toThrow('SANDLABX_BASE_PATH')
  })

  it('lists the folders that must be mounted', () => {
    expect(config({ SANDLABX_MUST_BE_MOUNTED: '/overlays, /images' }).mustBeMounted).toEqual(['/overlays', '/images'])
  })
})
