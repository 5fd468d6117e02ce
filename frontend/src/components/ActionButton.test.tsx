import { describe, expect, it, jest } from '@jest/globals'
import { screen } from '@testing-library/react'
import { show } from '../../test/show.js'
import { ActionButton, IconAction } from './ActionButton.js'

describe('ActionButton', () => {
  it('does its work when there is no reason against it', async () => {
    const onClick = jest.fn()
    const { user } = show(
      <ActionButton reason={null} onClick={onClick}>
        Start
      </ActionButton>,
    )
    await user.click(screen.getByRole('button', { name: 'Start' }))
    expect(onClick).toHaveBeenCalledTimes(1)
  })

  it('can be reached by keyboard when it is refused, says why, and does nothing', async () => {
    const onClick = jest.fn()
    const { user } = show(
      <ActionButton reason="The node can't be started while it is running." onClick={onClick}>
        Start
      </ActionButton>,
    )
    await user.tab()
    const button = screen.getByRole('button', { name: 'Start' })
    expect(document.activeElement).toBe(button)
    expect(button.getAttribute('aria-disabled')).toBe('true')
    expect(await screen.findByText("The node can't be started while it is running.")).toBeTruthy()
    await user.keyboard('{Enter}')
    expect(onClick).not.toHaveBeenCalled()
  })

  it('never submits a form when it is refused', async () => {
    const onSubmit = jest.fn((event: { preventDefault: () => void }) => event.preventDefault())
    const { user } = show(
      <form onSubmit={onSubmit}>
        <ActionButton type="submit" reason="Not yet.">
          Save
        </ActionButton>
      </form>,
    )
    await user.click(screen.getByRole('button', { name: 'Save' }))
    expect(onSubmit).not.toHaveBeenCalled()
  })
})

describe('IconAction', () => {
  it('is named for those who do not see the icon, with the reason on focus', async () => {
    const { user } = show(
      <IconAction label="Delete Debian 12" reason="Three nodes stand on it.">
        <svg />
      </IconAction>,
    )
    await user.tab()
    expect(screen.getByRole('button', { name: 'Delete Debian 12' })).toBe(document.activeElement)
    expect(await screen.findByText('Delete Debian 12: three nodes stand on it.')).toBeTruthy()
  })
})
