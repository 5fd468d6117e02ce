import { KEYBOARDS, KEYBOARD_NAMES } from '@domain/keyboard.js'
import type { NodeView } from '@domain/node.js'
import { NativeSelect } from '@mantine/core'
import { useUpdateNode } from '../../api/nodes.js'
import { toastError } from '../../components/toast.js'

const LAYOUTS = KEYBOARD_NAMES.map((name) => ({ value: name, label: KEYBOARDS[name] })).toSorted((a, b) =>
  a.label.localeCompare(b.label),
)
const USUAL = { value: '', label: 'The usual one (characters as on a US keyboard)' }

/** Which layout of keys the guest is set to. */
export function KeyboardSetting({ node }: { node: NodeView }) {
  const update = useUpdateNode(node.id)
  return (
    <NativeSelect
      label="Layout that the guest is set to"
      description="Leave it alone while all is well: with a layout, Direct goes by characters as well."
      data={[USUAL, ...LAYOUTS]}
      value={node.keyboard ?? ''}
      disabled={update.isPending}
      onChange={({ currentTarget: { value } }) =>
        update.mutate(
          { keyboard: KEYBOARD_NAMES.find((name) => name === value) ?? null },
          { onError: (error) => toastError('The keyboard layout was not changed', error) },
        )
      }
    />
  )
}
