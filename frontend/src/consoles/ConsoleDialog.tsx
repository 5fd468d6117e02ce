import { CloseButton, Modal } from '@mantine/core'
import type { ReactNode } from 'react'
import classes from '../components/Dialog.module.css'
import { useOverlayTarget } from './overlay-target.js'

interface Props {
  title: string
  /** A click beside it closes it; not where something would be lost. */
  easyToClose?: boolean
  onClose: () => void
  children: ReactNode
}

/** The page's dialog, which also shows itself over a console in full screen. */
export function ConsoleDialog({ title, easyToClose = true, onClose, children }: Props) {
  const target = useOverlayTarget()
  return (
    <Modal.Root
      opened
      onClose={onClose}
      size={520}
      padding={0}
      closeOnClickOutside={easyToClose}
      portalProps={target ? { target } : {}}
    >
      <Modal.Overlay />
      <Modal.Content>
        <div className={classes['head']}>
          <Modal.Title>{title}</Modal.Title>
          <CloseButton aria-label="Close" size={28} iconSize={16} onClick={onClose} />
        </div>
        <Modal.Body className={classes['content'] ?? ''}>{children}</Modal.Body>
      </Modal.Content>
    </Modal.Root>
  )
}
