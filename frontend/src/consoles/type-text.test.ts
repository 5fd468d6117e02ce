import { describe, expect, it } from '@jest/globals'
import { typeInPieces, untypable } from './type-text.js'

describe('typing a text', () => {
  it('goes piece by piece, in order, and tells how far it is', async () => {
    const typed: string[] = []
    const progress: number[] = []
    const text = 'x'.repeat(95)
    await typeInPieces(text, async (piece) => void typed.push(piece), {
      signal: new AbortController().signal,
      onProgress: (count) => progress.push(count),
    })
    expect(typed.join('')).toBe(text)
    expect(typed.map((piece) => piece.length)).toEqual([40, 40, 15])
    expect(progress).toEqual([40, 80, 95])
  })

  it('types one Enter for a line end of Windows', async () => {
    const typed: string[] = []
    const type = async (piece: string) => void typed.push(piece)
    await typeInPieces('a\r\nb', type, { signal: new AbortController().signal, onProgress: () => {} })
    expect(typed).toEqual(['a\nb'])
  })

  it('stops after the piece that is under way when it is cancelled', async () => {
    const cancel = new AbortController()
    const typed: string[] = []
    const done = typeInPieces('x'.repeat(400), async (piece) => void typed.push(piece), {
      signal: cancel.signal,
      onProgress: (count) => count >= 80 && cancel.abort(),
    })
    await expect(done).rejects.toThrow()
    expect(typed).toHaveLength(2)
  })

  it('says what failed and types no more', async () => {
    let pieces = 0
    const type = async () => {
      pieces += 1
      throw new Error('not running')
    }
    await expect(
      typeInPieces('x'.repeat(90), type, { signal: new AbortController().signal, onProgress: () => {} }),
    ).rejects.toThrow('not running')
    expect(pieces).toBe(1)
  })

  it('knows letters that no US keyboard has, each once', () => {
    expect(untypable('Hello, World!\t~`{}\n')).toEqual([])
    expect(untypable('Grüße über 🚀')).toEqual(['ü', 'ß', '🚀'])
  })
})
