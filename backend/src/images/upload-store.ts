import { createWriteStream } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { FileStore } from '@tus/file-store'
import { SandlabError } from '../domain/error.js'
import { errnoOf, isNoSpace } from '../system/durable-file.js'

/**
 * The library's file store, with two differences: files are for us alone, and a full disk is told from a lost
 * connection (the library answers both with a bare 500). What arrived stays either way and is resumed.
 */
export class UploadStore extends FileStore {
  override async create(file: Parameters<FileStore['create']>[0]): ReturnType<FileStore['create']> {
    const handle = await open(join(this.directory, file.id), 'wx', 0o600)
    await handle.close()
    await this.configstore.set(file.id, file)
    file.storage = { type: 'file', path: join(this.directory, file.id) }
    return file
  }

  override async write(readable: Readable, id: string, offset: number): Promise<number> {
    const target = createWriteStream(join(this.directory, id), { flags: 'r+', start: offset })
    try {
      await pipeline(readable, target)
    } catch (error) {
      if (!isNoSpace(errnoOf(error))) throw error
      throw new SandlabError('no_space', 'The disk became full during the upload.', {
        hint: 'Free some disk space; the upload goes on where it stopped.',
        cause: error,
      })
    }
    return offset + target.bytesWritten
  }
}
