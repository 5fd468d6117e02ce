import { Button, type ButtonProps } from '@mantine/core'
import { createLink, type LinkComponent } from '@tanstack/react-router'
import type { AnchorHTMLAttributes, Ref } from 'react'

type AnchorButtonProps = Omit<ButtonProps, 'component'> &
  Omit<AnchorHTMLAttributes<HTMLAnchorElement>, keyof ButtonProps> & { ref?: Ref<HTMLAnchorElement> }

function AnchorButton(props: AnchorButtonProps) {
  return <Button component="a" size="sm" {...props} />
}

const Linked = createLink(AnchorButton)

/** A link that looks like a button: for going somewhere, never for doing something. */
export const ButtonLink: LinkComponent<typeof AnchorButton> = (props) => <Linked preload="intent" {...props} />
