// Headers of the PROXY protocol, as proxies send them.

const signature = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');

/** Version 2. @param content addresses and TLVs */
export function binaryHeader(versionAndCommand: number, family: number, content: ArrayLike<number>): Buffer {
  const { length } = content;
  return Buffer.concat([
    signature,
    Uint8Array.of(versionAndCommand, family, length >> 8, length & 255),
    Buffer.from(content as number[]),
  ]);
}

export function tlv(type: number, value: Uint8Array): Buffer {
  return Buffer.concat([Uint8Array.of(type, value.length >> 8, value.length & 255), value]);
}

/** Version 1, for a client with this address. */
export function textHeader(address: string, port = 12345): string {
  const isIPv6 = address.includes(':');
  return `PROXY TCP${isIPv6 ? 6 : 4} ${address} ${isIPv6 ? '::1' : '127.0.0.1'} ${port} 80\r\n`;
}
