import { describe, expect, it, jest } from '@jest/globals'
import { passwordSchema } from '@domain/user.js'
import { screen, waitFor } from '@testing-library/react'
import { fakeServer, refusal } from '../../test/fake-server.js'
import { sampleUser } from '../../test/samples.js'
import { show } from '../../test/show.js'
import { PASSWORD_MINIMUM, PasswordForm } from './PasswordForm.js'

async function fillIn(user: ReturnType<typeof show>['user'], next: string, again: string) {
  await user.type(screen.getByLabelText('Current password'), 'the old one')
  await user.type(screen.getByLabelText('New password'), next)
  await user.type(screen.getByLabelText('New password, once more'), again)
  await user.click(screen.getByRole('button', { name: 'Change' }))
}

describe('PasswordForm', () => {
  it('asks for as many characters as the domain does', () => {
    expect(passwordSchema.safeParse('x'.repeat(PASSWORD_MINIMUM)).success).toBe(true)
    expect(passwordSchema.safeParse('x'.repeat(PASSWORD_MINIMUM - 1)).success).toBe(false)
  })

  it('does not trouble the server with passwords that are too short or differ', async () => {
    const server = fakeServer()
    const { user } = show(<PasswordForm submitLabel="Change" login="sam" />)
    await fillIn(user, 'short', 'other')
    expect(screen.getByText('5 more characters are needed')).toBeTruthy()
    expect(screen.getByText('The two new passwords differ')).toBeTruthy()
    expect(server.calls).toEqual([])
  })

  it('changes the password and empties its fields', async () => {
    const server = fakeServer({ 'PUT session/password': () => ({ json: { user: sampleUser() } }) })
    const onDone = jest.fn()
    const { user } = show(<PasswordForm submitLabel="Change" login="sam" onDone={onDone} />)
    await fillIn(user, 'a long sentence', 'a long sentence')
    await waitFor(() => expect(onDone).toHaveBeenCalled())
    expect(server.calls[0]?.body).toEqual({ currentPassword: 'the old one', newPassword: 'a long sentence' })
    expect(screen.getByLabelText<HTMLInputElement>('New password').value).toBe('')
  })

  it('keeps what was typed and says why when the server refuses', async () => {
    fakeServer({ 'PUT session/password': () => refusal(401, 'bad_credentials', 'The current password is wrong.') })
    const { user } = show(<PasswordForm submitLabel="Change" login="sam" />)
    await fillIn(user, 'a long sentence', 'a long sentence')
    expect(await screen.findByText('The current password is wrong.')).toBeTruthy()
    expect(screen.getByText('request-1')).toBeTruthy()
    expect(screen.getByLabelText<HTMLInputElement>('New password').value).toBe('a long sentence')
  })
})
