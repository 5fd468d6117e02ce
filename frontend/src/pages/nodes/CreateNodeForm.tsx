import type { ImageView } from '@domain/image.js'
import { createNodeSchema } from '@domain/node.js'
import { MIB } from '@domain/units.js'
import { Button, Checkbox, Switch, TextInput } from '@mantine/core'
import { IconRefresh } from '@tabler/icons-react'
import { type FormEvent, useMemo, useState } from 'react'
import { ApiError } from '../../api/client.js'
import { useCurrentUser, useMay } from '../../api/current-user.js'
import { useCreateNode, useNodes } from '../../api/nodes.js'
import { IconAction } from '../../components/ActionButton.js'
import dialog from '../../components/Dialog.module.css'
import { ErrorNotice } from '../../components/ErrorNotice.js'
import { OwnerPicker } from '../../components/OwnerPicker.js'
import { suggestName } from '../../util/suggest.js'
import { problemsOf } from '../../util/validate.js'
import type { Created } from './CreateNodeDialog.js'
import classes from './CreateNodeForm.module.css'
import { type Guest, GuestFields } from './GuestFields.js'
import { ImagePicker } from './ImagePicker.js'
import { type Sizes, sizesFor } from './node-sizes.js'
import { SizeFields } from './SizeFields.js'

interface Props {
  images: readonly ImageView[]
  begin: string
  onCreated: (created: Created) => void
  onCancel: () => void
}

export function CreateNodeForm({ images, begin, onCreated, onCancel }: Props) {
  const user = useCurrentUser()
  const may = useMay()
  const nodes = useNodes()
  const create = useCreateNode()
  const taken = useMemo(() => new Set(nodes.data?.map((node) => node.name)), [nodes.data])
  const [name, setName] = useState(() => suggestName(taken))
  const [imageId, setImageId] = useState<string>(images.find((image) => image.id === begin)?.id ?? images[0]?.id ?? '')
  const [sizes, setSizes] = useState<Sizes>({ cpus: 1 })
  const [guest, setGuest] = useState<Guest>({ user: '', password: '', sshKey: '' })
  const [ownerId, setOwnerId] = useState<string>(user.id)
  const [internet, setInternet] = useState(false)
  const [start, setStart] = useState(true)
  const [problems, setProblems] = useState<Record<string, string>>({})

  const image = images.find((one) => one.id === imageId)
  const { memory, disk } = sizesFor(image, sizes)

  const submit = (event: FormEvent) => {
    event.preventDefault()
    const node = {
      name,
      image: imageId,
      cpus: sizes.cpus,
      memoryMib: Math.round(memory / MIB),
      diskBytes: disk,
      internet,
      start,
      ...(ownerId === user.id ? {} : { ownerId }),
      ...(image?.cloudInit && guest.user ? { guestUser: guest.user } : {}),
      ...(image?.cloudInit && guest.password ? { guestPassword: guest.password } : {}),
      ...(image?.cloudInit && guest.sshKey.trim() ? { sshKeys: [guest.sshKey.trim()] } : {}),
    }
    const found = problemsOf(createNodeSchema, node)
    setProblems(found)
    if (Object.keys(found).length > 0) return
    const parsed = createNodeSchema.parse(node)
    create.mutate(parsed, {
      onSuccess: (made) =>
        onCreated({ node: made.node, guestPassword: made.guestPassword ?? (guest.password || null) }),
    })
  }

  const nameTaken = create.error instanceof ApiError && create.error.code === 'name_taken'
  return (
    <form onSubmit={submit} className={classes['form']} noValidate>
      <ImagePicker images={images} value={imageId} onChange={setImageId} />
      <div className={classes['fields']}>
        <TextInput
          label="Name"
          description="Also the guest’s host name"
          value={name}
          spellCheck={false}
          autoCapitalize="none"
          error={problems['name'] ?? (nameTaken ? create.error?.message : undefined)}
          onChange={(event) => setName(event.currentTarget.value)}
          rightSection={
            <IconAction label="Suggest another name" size={24} onClick={() => setName(suggestName(taken))}>
              <IconRefresh size={14} />
            </IconAction>
          }
        />
        {may('node.createForOthers') && <OwnerPicker value={ownerId} onChange={setOwnerId} />}
        <SizeFields image={image} sizes={sizes} problems={problems} onChange={setSizes} />
        {image?.cloudInit ? (
          <GuestFields guest={guest} problems={problems} onChange={setGuest} />
        ) : (
          <p className={classes['note']}>
            This image takes no account from SandLabX. {image?.loginNotes || 'Sign in as its maker says.'}
          </p>
        )}
        {may('node.allowInternet') && (
          <Switch
            label="May reach the internet"
            description="Otherwise it reaches nothing outside of this server."
            checked={internet}
            onChange={(event) => setInternet(event.currentTarget.checked)}
          />
        )}
      </div>
      <footer className={classes['footer']}>
        {create.isError && !nameTaken && <ErrorNotice what={`${name} was not created`} error={create.error} />}
        <div className={dialog['actions']}>
          <Checkbox
            className={classes['start'] ?? ''}
            label="Start it right away"
            checked={start}
            onChange={(event) => setStart(event.currentTarget.checked)}
          />
          <Button variant="default" size="sm" onClick={onCancel}>
            Cancel
          </Button>
          <Button type="submit" size="sm" loading={create.isPending}>
            {start ? 'Create and start' : 'Create'} {name}
          </Button>
        </div>
      </footer>
    </form>
  )
}
