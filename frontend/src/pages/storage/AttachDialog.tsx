import { nodeNameSchema } from '@domain/node.js'
import type { Orphan } from '@domain/storage.js'
import { Select, TextInput } from '@mantine/core'
import { useState } from 'react'
import { useCurrentUser, useMay } from '../../api/current-user.js'
import { useImages } from '../../api/images.js'
import { type Asked, usePlan } from '../../api/plans.js'
import { OwnerPicker } from '../../components/OwnerPicker.js'
import { YamlField } from '../../components/YamlField.js'
import { PlanDialog } from '../../plan/PlanDialog.js'
import { configTemplate, lineOf, nameFromFile } from '../../storage/node-config.js'

const TAKEN = 'name_taken'
const BAD_CONFIG = 'bad_node_config'

/** A disk that nothing names becomes a node again: with the record beside it as it was, else as a YAML text says. */
export function AttachDialog({ orphan, onClose }: { orphan: Orphan; onClose: () => void }) {
  const me = useCurrentUser()
  const may = useMay()
  const images = useImages()
  const { formerly } = orphan
  const [name, setName] = useState(formerly?.nodeName ?? nameFromFile(orphan.path))
  const [config, setConfig] = useState(() => configTemplate(orphan, nameFromFile(orphan.path) || 'recovered'))
  const [ownerId, setOwnerId] = useState<string>(formerly?.ownerId ?? me.id)
  const [rebaseTo, setRebaseTo] = useState<string>()
  const baseMissing = orphan.backing !== null && !orphan.backing.present

  const problem = nodeNameSchema.safeParse(name).success
    ? undefined
    : 'Give it a name of lower-case letters, digits and dashes.'
  const asked: Asked | null = problem
    ? null
    : {
        method: 'POST',
        path: 'storage/attach',
        body: {
          path: orphan.path,
          name,
          ...(formerly ? {} : { config }),
          ...(ownerId === (formerly?.ownerId ?? me.id) ? {} : { ownerId }),
          ...(rebaseTo ? { rebaseTo } : {}),
        },
      }
  // The dialog's own plan has the same key: it is asked once.
  const { plan, error } = usePlan(asked)
  const refusal =
    plan?.refusal ?? (error as { code?: string; message: string; details?: Record<string, unknown> } | null)
  const taken = refusal?.code === TAKEN
  const badConfig = refusal?.code === BAD_CONFIG ? refusal : undefined
  const details = badConfig && 'details' in badConfig ? badConfig.details : undefined

  return (
    <PlanDialog
      title={`Attach ${formerly ? formerly.nodeName : (orphan.path.split('/').at(-1) ?? 'the disk')}`}
      asked={asked}
      problem={problem}
      confirm={`Attach as ${name || '…'}`}
      failure={`${orphan.path} was not attached`}
      width={formerly ? 520 : 640}
      except={taken ? TAKEN : BAD_CONFIG}
      onClose={onClose}
    >
      <p>
        {formerly
          ? `The record beside it is that of ${formerly.nodeName}: the node comes back as it was, on this disk.`
          : 'There is no record beside it. Say here what machine it belongs to; the file’s path must be this one.'}
      </p>
      <TextInput
        label="Name"
        value={name}
        error={problem ?? (taken ? refusal?.message : undefined)}
        spellCheck={false}
        autoCapitalize="none"
        data-autofocus
        onChange={(event) => setName(event.currentTarget.value)}
      />
      {may('storage.manage') && (
        <OwnerPicker
          value={ownerId}
          {...(formerly ? { keep: { id: formerly.ownerId, login: formerly.ownerLogin ?? 'its former owner' } } : {})}
          onChange={setOwnerId}
        />
      )}
      {baseMissing && (
        <Select
          label="Stand on"
          description={`${orphan.backing?.path ?? 'Its base image'} is missing. An image with the same content can take its place.`}
          placeholder="Choose an image"
          data={(images.data?.images ?? []).map(({ id, title }) => ({ value: id, label: `${title} (${id})` }))}
          value={rebaseTo ?? null}
          clearable
          onChange={(id) => setRebaseTo(id ?? undefined)}
        />
      )}
      {!formerly && (
        <YamlField
          label="Machine"
          description="YAML, as “sandlabx show” prints it"
          value={config}
          error={badConfig?.message}
          errorLine={badConfig ? lineOf(badConfig.message, details) : undefined}
          onChange={setConfig}
        />
      )}
    </PlanDialog>
  )
}
