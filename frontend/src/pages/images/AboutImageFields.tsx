import { MIB } from '@domain/units.js'
import { Select, Switch, Textarea, TextInput } from '@mantine/core'
import type { ImageAbout } from '../../api/images.js'
import { SizeField } from '../../components/SizeField.js'
import { MEMORY_STEPS } from '../../util/sizes.js'
import classes from './Images.module.css'

interface Props {
  about: ImageAbout
  problems: Record<string, string>
  onChange: (about: ImageAbout) => void
}

/** What a file can't say of itself: its name, how it boots, how one signs in. */
export function AboutImageFields({ about, problems, onChange }: Props) {
  const set = (change: Partial<ImageAbout>) => onChange({ ...about, ...change })
  return (
    <>
      <div className={classes['pair']}>
        <TextInput
          label="Title"
          description="What people read"
          value={about.title}
          error={problems['title']}
          onChange={(event) => set({ title: event.currentTarget.value })}
        />
        <TextInput
          label="Id"
          description="What the command line and files use"
          value={about.id}
          spellCheck={false}
          autoCapitalize="none"
          error={problems['id']}
          onChange={(event) => set({ id: event.currentTarget.value })}
        />
      </div>
      <div className={classes['pair']}>
        <Select
          label="Firmware"
          description="BIOS unless its maker says UEFI"
          data={[
            { value: 'bios', label: 'BIOS' },
            { value: 'uefi', label: 'UEFI' },
          ]}
          value={about.firmware}
          onChange={(value) => set({ firmware: value === 'uefi' ? 'uefi' : 'bios' })}
        />
        <SizeField
          label="Memory it needs"
          description="Nodes get at least this"
          bytes={about.minimumMemoryMib * MIB}
          steps={MEMORY_STEPS}
          minimum={64 * MIB}
          error={problems['minimumMemoryMib']}
          onChange={(bytes) => set({ minimumMemoryMib: Math.round(bytes / MIB) })}
        />
      </div>
      <Switch
        label="Understands cloud-init"
        description="Then a node’s host name, user, password and SSH key are set on its first start."
        checked={about.cloudInit}
        onChange={(event) => set({ cloudInit: event.currentTarget.checked })}
      />
      <Textarea
        label="How one signs in"
        placeholder="Sign in as student with the password lab."
        rows={2}
        maxLength={500}
        value={about.loginNotes}
        onChange={(event) => set({ loginNotes: event.currentTarget.value })}
      />
    </>
  )
}
