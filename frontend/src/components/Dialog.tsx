import { CloseButton, Modal } from '@mantine/core'
import type { ReactNode } from 'react'
import classes from './Dialog.module.css'

interface Props {
  title: string
  /** Pixels. */
  width?: number
  /** A click beside it closes it; not where something would be lost. */
  easyToClose?: boolean
  onClose: () => void
  children: ReactNode
}

/** The one dialog of the page: a title, a way out, and what it is about. */
export function Dialog({ title, width = 480, easyToClose = true, onClose, children }: Props) {
  return (
    <Modal.Root opened onClose={onClose} size={width} padding={0} closeOnClickOutside={easyToClose}>
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
