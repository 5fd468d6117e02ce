import { describe, expect, it, jest } from '@jest/globals'
import type { Viewer } from '@domain/console.js'
import { NODE_ACTIONS, type NodeStatus, nodeRefuses, type NodeView } from '@domain/node.js'
import { MantineProvider } from '@mantine/core'
import { act, render, screen } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import type { ReactNode } from 'react'
import type { ConnectionState } from './connection.js'
import type { ScreenHandle, SerialHandle } from './console-view.js'
import { ControlState } from './ControlState.js'
import { EngineMenu } from './EngineMenu.js'
import { parseLayout } from './layout.js'
import { NodeChoice } from './NodeChoice.js'
import { changeConsoleSettings, consoleSettings } from './settings.js'
import { Veil } from './Veil.js'
import { Viewers } from './Viewers.js'
import { WorkspaceTabs } from './WorkspaceTabs.js'

const show = (what: ReactNode) => render(<MantineProvider env="test">{what}</MantineProvider>)
const id = (digit: number) => `00000000-0000-4000-8000-00000000000${digit}`

function node(digit: number, status: NodeStatus, more: Partial<NodeView> = {}): NodeView {
  const actions = Object.fromEntries(NODE_ACTIONS.map((action) => [action, nodeRefuses(action, status) ?? null]))
  const view = { id: id(digit), name: `web-0${digit}`, status, statusReason: null, lastExit: null, startedAt: null }
  return { ...view, createdAt: '2026-11-21T08:00:00.000Z', actions, ...more } as unknown as NodeView // what consoles read
}

function viewer(login: string, more: Partial<Viewer> = {}): Viewer {
  return { id: login, login, kind: 'serial', mode: 'control', engine: 'direct', writer: false, size: null, ...more }
}

describe('what is said over a console that is not live', () => {
  const onStart = jest.fn()
  const onRetry = jest.fn()
  const onSignIn = jest.fn()
  const veil = (one: NodeView, connection: ConnectionState, startPending = false) =>
    show(<Veil node={one} {...{ connection, startPending, onStart, onRetry, onSignIn }} />)

  it('is nothing when it is live', () => {
    veil(node(1, 'running'), { phase: 'live' })
    expect(screen.queryByRole('status')).toBeNull()
    expect(screen.queryByText(/Connecting/)).toBeNull()
  })

  it('offers a stopped node’s start', async () => {
    veil(node(1, 'stopped'), { phase: 'off' })
    await userEvent.click(screen.getByRole('button', { name: 'Start web-01' }))
    expect(onStart).toHaveBeenCalledTimes(1)
  })

  it('says why a node can’t be started, in words that need no pointer', () => {
    veil(node(1, 'creating'), { phase: 'off' })
    expect(screen.getByRole('button', { name: 'Start web-01' }).getAttribute('aria-disabled')).toBe('true')
    expect(screen.getByText("The node can't be started while it is being created.")).toBeTruthy()
  })

  it('says why a node has no SSH console, whether it runs or not', () => {
    const reason = 'Its image takes no keys.'
    for (const status of ['running', 'stopped'] as const) {
      const { unmount } = show(
        <Veil
          node={node(1, status)}
          refusal={reason}
          connection={{ phase: 'off' }}
          startPending={false}
          {...{ onStart, onRetry, onSignIn }}
        />,
      )
      expect(screen.getByText(reason)).toBeTruthy()
      expect(screen.queryByRole('button')).toBeNull()
      unmount()
    }
  })

  it('lets one open another session when one has come to its end', async () => {
    onRetry.mockClear()
    veil(node(1, 'running'), { phase: 'ended', reason: 'The SSH session has ended.', next: 'again' })
    await userEvent.click(screen.getByRole('button', { name: 'Open a new one' }))
    expect(onRetry).toHaveBeenCalledTimes(1)
    onRetry.mockClear()
  })

  it('does not start twice', async () => {
    onStart.mockClear()
    veil(node(1, 'stopped'), { phase: 'off' }, true)
    await userEvent.click(screen.getByRole('button', { name: /Starting/ }))
    expect(onStart).not.toHaveBeenCalled()
  })

  it('says why a crashed node ended', () => {
    const lastExit = {
      at: '2026-11-21T08:00:00.000Z',
      how: 'crashed',
      reason: 'QEMU was killed',
      serialTail: [],
    } as const
    veil(node(1, 'crashed', { lastExit: { ...lastExit, serialTail: [] } }), { phase: 'off' })
    expect(screen.getByText('QEMU was killed')).toBeTruthy()
  })

  it('counts down to the next try and can be hurried', async () => {
    veil(node(1, 'running'), { phase: 'waiting', reason: 'The connection is lost.', retryAtMs: Date.now() + 7900 })
    expect(screen.getByText('Trying again in 8 s')).toBeTruthy()
    await userEvent.click(screen.getByRole('button', { name: 'Try now' }))
    expect(onRetry).toHaveBeenCalledTimes(1)
  })

  it('says what ended it for good, and offers what helps', () => {
    const { unmount } = veil(node(1, 'running'), { phase: 'ended', reason: 'You are signed out.', next: 'sign-in' })
    expect(screen.getByRole('button', { name: 'Sign in' })).toBeTruthy()
    unmount()
    veil(node(1, 'running'), { phase: 'ended', reason: 'You may not use this console any more.', next: 'none' })
    expect(screen.queryByRole('button')).toBeNull()
  })
})

describe('who is here and who types', () => {
  const handle: SerialHandle = {
    kind: 'serial',
    focus: () => {},
    takeControl: jest.fn(),
    releaseControl: jest.fn(),
    sendSize: () => {},
    find: () => {},
    save: () => {},
  }

  it('is not said while one is alone', () => {
    const alone = [viewer('ann', { writer: true })]
    show(
      <>
        <Viewers viewers={alone} selfId="ann" />
        <ControlState handle={handle} kind="serial" mode="control" viewers={alone} selfId="ann" idleKeys={0} />
      </>,
    )
    expect(screen.queryByRole('list')).toBeNull()
    expect(screen.queryByRole('status')).toBeNull()
  })

  it('shows everybody, also who only watches the screen', () => {
    const viewers = [viewer('ann', { writer: true }), viewer('ina', { kind: 'screen', mode: 'view' })]
    show(<Viewers viewers={viewers} selfId="ann" />)
    const names = screen.getAllByRole('listitem').map((item) => item.getAttribute('aria-label'))
    expect(names).toEqual(['You type on the serial line', 'ina watches the screen'])
  })

  it('does not ask whose an SSH session is: each has one of his own', () => {
    const viewers = [viewer('ann', { kind: 'ssh', writer: true }), viewer('ina', { kind: 'ssh', writer: true })]
    show(
      <>
        <Viewers viewers={viewers} selfId="ann" />
        <ControlState
          handle={{ ...handle, kind: 'ssh' }}
          kind="ssh"
          mode="control"
          viewers={viewers}
          selfId="ann"
          idleKeys={0}
        />
      </>,
    )
    const names = screen.getAllByRole('listitem').map((item) => item.getAttribute('aria-label'))
    expect(names).toEqual(['You work over SSH', 'ina works over SSH'])
    expect(screen.queryByRole('status')).toBeNull()
  })

  it('lets one take control from another and give it back', async () => {
    const viewers = [viewer('ann', { writer: true }), viewer('ina')]
    const { unmount } = show(
      <ControlState handle={handle} kind="serial" mode="control" viewers={viewers} selfId="ina" idleKeys={0} />,
    )
    expect(screen.getByText('ann has control')).toBeTruthy()
    await userEvent.click(screen.getByRole('button', { name: 'Take control' }))
    expect(handle.takeControl).toHaveBeenCalledTimes(1)
    unmount()
    show(<ControlState handle={handle} kind="serial" mode="control" viewers={viewers} selfId="ann" idleKeys={0} />)
    await userEvent.click(screen.getByRole('button', { name: 'Release' }))
    expect(handle.releaseControl).toHaveBeenCalledTimes(1)
  })

  it('offers no control to who only watches', () => {
    show(<ControlState handle={handle} kind="serial" mode="view" viewers={[viewer('ann')]} selfId="ina" idleKeys={3} />)
    expect(screen.getByText('View only')).toBeTruthy()
    expect(screen.queryByRole('button')).toBeNull()
  })
})

describe('who types on a screen', () => {
  const handle: ScreenHandle = {
    kind: 'screen',
    focus: () => {},
    savePicture: () => {},
    takeControl: jest.fn(),
    releaseControl: jest.fn(),
  }

  it('is said of the screen alone, whoever types on the serial line', async () => {
    const viewers = [
      viewer('bob', { writer: true }),
      viewer('ann', { kind: 'screen', writer: true }),
      viewer('ina', { kind: 'screen' }),
    ]
    show(<ControlState handle={handle} kind="screen" mode="control" viewers={viewers} selfId="ina" idleKeys={0} />)
    expect(screen.getByText('ann has control')).toBeTruthy()
    await userEvent.click(screen.getByRole('button', { name: 'Take control' }))
    expect(handle.takeControl).toHaveBeenCalledTimes(1)
  })

  it('is nobody while only a guest is there', () => {
    const viewers = [viewer('ina', { kind: 'screen' })]
    show(<ControlState handle={handle} kind="screen" mode="control" viewers={viewers} selfId="ina" idleKeys={0} />)
    expect(screen.getByText('Nobody has control')).toBeTruthy()
  })
})

describe('what brings the picture', () => {
  it('is named, and why it is not what was wished for', () => {
    const notice = 'No guacd answers at guacd:4822. The screen is shown directly.'
    show(<EngineMenu engine="direct" notice={notice} onClose={() => {}} />)
    expect(screen.getByRole('button', { name: 'Direct' })).toBeTruthy()
    expect(screen.getByRole('status').textContent).toBe(notice)
  })

  it('is the person’s choice, kept in this browser', async () => {
    show(<EngineMenu engine="guacamole" notice={null} onClose={() => {}} />)
    await userEvent.click(screen.getByRole('button', { name: 'Guacamole' }))
    await userEvent.click(await screen.findByText('Direct (noVNC)'))
    expect(consoleSettings().engine).toBe('direct')
    act(() => changeConsoleSettings({ engine: 'auto' }))
  })
})

describe('the workspace', () => {
  const nodes = [node(1, 'running'), node(2, 'stopped'), node(3, 'running')]
  const byId = new Map<string, NodeView>(nodes.map((one) => [one.id, one]))

  it('has a tab for each console, with its status in words', async () => {
    const [onShow, onClose, onChange] = [jest.fn(), jest.fn(), jest.fn()]
    const layout = parseLayout(`1.0.0!${id(1)}_${id(2)}~screen`)
    show(<WorkspaceTabs {...{ layout, onShow, onClose, onChange }} nodes={byId} stale={false} onOpen={() => {}} />)
    await userEvent.click(screen.getByRole('button', { name: 'web-02, screen, stopped' }))
    expect(onShow).toHaveBeenCalledWith(1)
    await userEvent.click(screen.getByRole('button', { name: 'Close web-01, serial console' }))
    expect(onClose).toHaveBeenCalledWith(0)
    await userEvent.click(screen.getByRole('button', { name: 'Two side by side' }))
    expect(onChange).toHaveBeenCalledWith(expect.objectContaining({ panes: 2, shown: [0, 1] }))
  })

  it('does not show as measured what is only remembered', () => {
    const nothing = { onShow() {}, onClose() {}, onChange() {}, onOpen() {} }
    show(<WorkspaceTabs {...nothing} layout={parseLayout(id(1))} nodes={byId} stale />)
    expect(screen.getByRole('button', { name: 'web-01, serial console, last known running' })).toBeTruthy()
    expect(document.querySelector('[data-tone=run]')).toBeNull()
  })

  it('offers in an empty pane what is not seen yet, running nodes first', async () => {
    const onChoose = jest.fn()
    show(<NodeChoice nodes={nodes} layout={parseLayout(`2.1.0.x!${id(1)}`)} onChoose={onChoose} />)
    const buttons = screen.getAllByRole('button')
    expect(buttons.map((button) => button.textContent)).toEqual(['web-03Running', 'web-02Stopped'])
    await userEvent.click(buttons[0] as HTMLElement)
    expect(onChoose).toHaveBeenCalledWith({ nodeId: id(3), kind: 'serial', mode: 'control' })
  })
})
