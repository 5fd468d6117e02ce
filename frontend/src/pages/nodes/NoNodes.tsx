import { Button } from '@mantine/core'
import { IconFilterOff, IconServer2 } from '@tabler/icons-react'
import { Link } from '@tanstack/react-router'
import { useMay } from '../../api/current-user.js'
import { useImages } from '../../api/images.js'
import { ButtonLink } from '../../components/ButtonLink.js'
import { EmptyState } from '../../components/EmptyState.js'

/** The first visit: what a node is, and the button that makes one. */
export function NoNodes() {
  const images = useImages()
  const manages = useMay()('image.manage')
  const none = images.data?.images.length === 0
  const icon = <IconServer2 size={22} stroke={1.5} />
  if (none) {
    return (
      <EmptyState
        icon={icon}
        title="No images yet"
        action={manages && <ButtonLink to="/images">Go to the images</ButtonLink>}
      >
        {manages
          ? 'A node needs a base image to start from. Build a small one here in a few minutes, or download one.'
          : 'A node needs a base image to start from. Your instructor adds one; then you can create a node here.'}
      </EmptyState>
    )
  }
  return (
    <EmptyState
      icon={icon}
      title="No nodes yet"
      action={
        <>
          <ButtonLink to="/nodes" search={{ new: 'yes' }}>
            Create a node
          </ButtonLink>
          {manages && <Link to="/images">See the images</Link>}
        </>
      }
    >
      A node is a virtual machine with a disk of its own. It keeps what you do, until you delete it.
    </EmptyState>
  )
}

export function NoMatch({ onClear }: { onClear: () => void }) {
  return (
    <EmptyState
      icon={<IconFilterOff size={22} stroke={1.5} />}
      title="No node matches"
      action={
        <Button size="sm" variant="default" onClick={onClear}>
          Clear the filter
        </Button>
      }
    >
      There are nodes, but none with these words and this status.
    </EmptyState>
  )
}
