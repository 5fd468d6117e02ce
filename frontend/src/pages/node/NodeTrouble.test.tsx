import { describe, expect, it } from '@jest/globals'
import { MEMORY_KEPT_ASIDE } from '@domain/node.js'
import { screen } from '@testing-library/react'
import { sampleNode } from '../../../test/samples.js'
import { show } from '../../../test/show.js'
import { NodeTrouble } from './NodeTrouble.js'

const lastExit = (reason: string) => ({ at: '2026-11-21T10:00:00.000Z', how: 'forced', reason, serialTail: [] })

describe('what a page says of a node whose memory was saved', () => {
  it('says that a suspended node goes on, and by itself when SandLabX has suspended it', () => {
    const suspended = { at: '2026-11-21T10:00:00.000Z', sizeBytes: 1, why: 'stop' }
    show(<NodeTrouble node={sampleNode({ status: 'suspended', suspended })} />)
    expect(screen.getByText(/goes on at the same screen/).textContent).toMatch(/lets it go on when it starts/)
  })

  it('says of a node that boots why its memory was of no use', () => {
    const reason = `${MEMORY_KEPT_ASIDE} Its disk was changed since its memory was saved.`
    show(<NodeTrouble node={sampleNode({ status: 'running', lastExit: lastExit(reason) })} />)
    expect(screen.getByText(/Its disk was changed/)).toBeTruthy()
  })

  it('says nothing of a node that runs well', () => {
    show(<NodeTrouble node={sampleNode({ status: 'running', lastExit: lastExit('It was switched off.') })} />)
    expect(screen.queryByText(/memory/)).toBeNull()
  })
})
