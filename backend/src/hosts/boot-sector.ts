/** A PC's first disk sector: 510 bytes of 16-bit code at 0000:7C00, then 55 AA. */
const SECTOR_BYTES = 512
const LOAD_ADDRESS = 0x7c00

/** Sets the first serial port to its quickest rate, writes the text that follows the code, and halts for good. */
const PRINT_AND_HALT = [
  0xfa, //                   cli
  0x31,
  0xc0, //             xor ax, ax
  0x8e,
  0xd8, //             mov ds, ax
  0xfc, //                   cld
  0xba,
  0xfb,
  0x03, //       mov dx, 0x3fb   line control
  0xb0,
  0x80,
  0xee, //       mov al, 0x80; out dx, al   (divisor latch on)
  0xba,
  0xf8,
  0x03, //       mov dx, 0x3f8
  0xb0,
  0x01,
  0xee, //       mov al, 1; out dx, al      (115200 baud)
  0x42, //                   inc dx
  0x30,
  0xc0,
  0xee, //       xor al, al; out dx, al
  0xba,
  0xfb,
  0x03, //       mov dx, 0x3fb
  0xb0,
  0x03,
  0xee, //       mov al, 3; out dx, al      (8N1)
  0xbe,
  0x00,
  0x00, //       mov si, <text>
  // next:
  0xac, //                   lodsb
  0x84,
  0xc0, //             test al, al
  0x74,
  0x12, //             jz halt
  0x88,
  0xc4, //             mov ah, al
  0xba,
  0xfd,
  0x03, //       mov dx, 0x3fd   line status
  // wait:
  0xec, //                   in al, dx
  0xa8,
  0x20, //             test al, 0x20
  0x74,
  0xfb, //             jz wait
  0x88,
  0xe0, //             mov al, ah
  0xba,
  0xf8,
  0x03, //       mov dx, 0x3f8
  0xee, //                   out dx, al
  0xeb,
  0xe9, //             jmp next
  // halt:
  0xf4, //                   hlt
  0xeb,
  0xfd, //             jmp halt
]
/** Where the text's address is in the code: the operand of `mov si`. */
const TEXT_OPERAND = PRINT_AND_HALT.indexOf(0xbe) + 1

/** A sector that boots on any PC, prints `text` (ASCII, at most 400 characters) on the first serial port, and halts. */
export function printingBootSector(text: string): Buffer {
  const sector = Buffer.alloc(SECTOR_BYTES)
  Buffer.from(PRINT_AND_HALT).copy(sector)
  sector.writeUInt16LE(LOAD_ADDRESS + PRINT_AND_HALT.length, TEXT_OPERAND)
  sector.write(`${text.slice(0, 400)}\0`, PRINT_AND_HALT.length, 'latin1')
  sector.writeUInt16LE(0xaa55, SECTOR_BYTES - 2)
  return sector
}
