import type { Role } from '@domain/user.js'
import { Select } from '@mantine/core'

const ROLES: readonly { value: Role; label: string; reach: string }[] = [
  { value: 'student', label: 'Student', reach: 'Sees and uses their own nodes.' },
  {
    value: 'instructor',
    label: 'Instructor',
    reach: 'Sees and uses the nodes of all students, creates nodes for them, manages images.',
  },
  { value: 'administrator', label: 'Administrator', reach: 'Sees and does everything, also accounts and health.' },
]

export function RolePicker({ value, onChange }: { value: Role; onChange: (role: Role) => void }) {
  return (
    <Select
      label="Role"
      description={ROLES.find((role) => role.value === value)?.reach}
      inputWrapperOrder={['label', 'input', 'description', 'error']}
      data={ROLES.map(({ value: role, label }) => ({ value: role, label }))}
      value={value}
      onChange={(next) => onChange(ROLES.find((role) => role.value === next)?.value ?? value)}
    />
  )
}
