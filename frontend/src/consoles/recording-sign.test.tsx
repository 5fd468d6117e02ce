import { describe, expect, it } from '@jest/globals'
import { MantineProvider } from '@mantine/core'
import { render, screen } from '@testing-library/react'
import { RecordingSign } from './RecordingSign.js'
import { type RecordingState, watchRecording } from './recording-sign.js'

describe('a console that is recorded', () => {
  it('says so in words, and says what is not recorded', () => {
    render(
      <MantineProvider env="test">
        <RecordingSign state={{ isOn: true, reason: null }} />
      </MantineProvider>,
    )
    expect(screen.getByRole('status').textContent).toMatch(/^Recorded.*What you type is not/)
  })

  it('says nothing where it is not recorded, and why where it stopped', () => {
    const { rerender } = render(
      <MantineProvider env="test">
        <RecordingSign state={{ isOn: false, reason: null }} />
      </MantineProvider>,
    )
    expect(screen.queryByRole('status')).toBeNull()
    rerender(
      <MantineProvider env="test">
        <RecordingSign state={{ isOn: false, reason: 'there is no room' }} />
      </MantineProvider>,
    )
    expect(screen.getByRole('status').textContent).toMatch(/^Recording stopped.*there is no room/)
  })

  it('is known from what the server says, between whatever else a socket carries', () => {
    const socket = new EventTarget() as WebSocket
    const heard: RecordingState[] = []
    watchRecording(socket, (state) => heard.push(state))
    const say = (data: unknown) => socket.dispatchEvent(new MessageEvent('message', { data }))
    say(JSON.stringify({ type: 'hello', viewerId: 'x', mode: 'view', replayBytes: 0, recorded: true }))
    say('4.sync,1.1;')
    say(new ArrayBuffer(4))
    say(JSON.stringify({ type: 'viewers', viewers: [] }))
    say(JSON.stringify({ type: 'recorded', recorded: false, reason: 'no room' }))
    expect(heard).toEqual([
      { isOn: true, reason: null },
      { isOn: false, reason: 'no room' },
    ])
  })
})
