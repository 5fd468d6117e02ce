import { Button } from '@mantine/core'
import { ButtonLink } from '../../components/ButtonLink.js'
import dialog from '../../components/Dialog.module.css'
import { SecretOnce } from '../../components/SecretOnce.js'
import type { Created } from './CreateNodeDialog.js'

/** The node exists. Its guest's password is shown here and never again. */
export function NodeCreated({ created: { node, guestPassword }, onClose }: { created: Created; onClose: () => void }) {
  return (
    <div className={dialog['body']}>
      {guestPassword ? (
        <>
          <p>
            Inside the node, sign in as <code>{node.guestUser}</code> with this password. Note it down: SandLabX keeps
            only a hash of it and can’t show it again.
          </p>
          <SecretOnce label="Guest password" secret={guestPassword} />
        </>
      ) : (
        <p>{node.loginNotes || `Inside the node, sign in as ${node.guestUser}.`}</p>
      )}
      <div className={dialog['actions']}>
        <Button variant="default" size="sm" onClick={onClose}>
          Back to the list
        </Button>
        <ButtonLink to="/nodes/$nodeId" params={{ nodeId: node.id }} data-autofocus>
          Open {node.name}
        </ButtonLink>
      </div>
    </div>
  )
}
