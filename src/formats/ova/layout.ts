/** An OVA: a tar archive of descriptor, manifest and disk, in this order (DMTF DSP0243 section 6; spec boot-and-images 7.3). */
import { sha256 } from '@noble/hashes/sha2.js';
import { type Bytes, concat, ofMemory, padToMultiple, slice } from '../../bytes/bytes.ts';
import { toHex } from '../../bytes/field.ts';
import type { Digest } from '../../bytes/units.ts';
import { type Literal, treeOfLiterals } from '../../tree/tree.ts';
import { BLOCK_SIZE } from '../tar/block.ts';
import { layoutTar } from '../tar/layout-tar.ts';
import { encodeOvf } from './ovf.ts';

export interface OvaOptions {
  /** Bytes of the disk inside the VMDK. */
  readonly diskSize: number;
  /** Of the whole VMDK: the caller has to read it for that. */
  readonly vmdkDigest: Digest;
  /** Time of the members, seconds since 1970. */
  readonly mtime: number;
}

const OVF_NAME = 'disk.ovf';
const MANIFEST_NAME = 'disk.mf';
const VMDK_NAME = 'disk.vmdk';

/** Blocks of a tar record: what GNU tar fills up to, and some readers read at once. */
const RECORD_BLOCKS = 20;

export function layoutOva(vmdk: Bytes, { diskSize, vmdkDigest, mtime }: OvaOptions): Bytes {
  const ovf = encodeOvf({ diskSize, vmdkSize: vmdk.size, vmdkName: VMDK_NAME });
  const members = [
    member(OVF_NAME, ovf, mtime),
    member(MANIFEST_NAME, encodeManifest(vmdkDigest, sha256(ovf)), mtime),
    member(VMDK_NAME, vmdk, mtime),
  ];
  const end = ofMemory(new Uint8Array(2 * BLOCK_SIZE));
  return padToMultiple(concat([...members, end]), RECORD_BLOCKS * BLOCK_SIZE);
}

/** Header and content. A tree has its own order, so each member is an archive whose end is cut off. */
function member(name: string, content: Literal, mtime: number): Bytes {
  const archive = layoutTar(treeOfLiterals({ [name]: content }, { mtime, mode: 0o644 }));
  return slice(archive, 0, archive.size - 2 * BLOCK_SIZE);
}

function encodeManifest(vmdkDigest: Digest, ovfSha256: Uint8Array): string {
  const vmdkSha256 = vmdkDigest.slice('sha256:'.length);
  return `SHA256(${VMDK_NAME})= ${vmdkSha256}\nSHA256(${OVF_NAME})= ${toHex(ovfSha256)}\n`;
}
