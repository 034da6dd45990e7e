/**
 * The one interface to the machine. Every other folder sees files, digests, compression, child processes and
 * sockets only through it, so formats are tested without a disk and the same code can run where there is none.
 */

/** Random-access content of known size. Reads are exact; a short read is an `io` error naming `label`. */
export interface Source {
  /** Same key, same bytes: what makes two ranges of one file equal without looking at them. */
  readonly key: string;
  /** What an error message calls it: a path, or a digest. */
  readonly label: string;
  /** Bytes. */
  readonly size: number;
  /** Fills all of `into` from `position`. Throws `io` when the source is shorter, gone or changed. */
  read(position: number, into: Uint8Array): Promise<void>;
}

export type FileKind = 'file' | 'directory' | 'symlink' | 'other';

export interface FileInfo {
  readonly kind: FileKind;
  /** Bytes. */
  readonly size: number;
  /** Permission bits, 0..0o7777. */
  readonly mode: number;
  /** Modification time in seconds since 1970. */
  readonly mtime: number;
  /** Bytes the file occupies on disk, for sparse files less than `size`. */
  readonly allocated: number;
}

/** A file being written: positioned writes, so that holes stay holes. */
export interface NewFile {
  readonly path: string;
  write(position: number, data: Uint8Array): Promise<void>;
  truncate(size: number): Promise<void>;
  sync(): Promise<void>;
  close(): Promise<void>;
}

/** File access. All failures are `ImagerError` with code `io` and the path in the message. */
export interface Files {
  /** A file as a `Source`. Handles are opened on first read and kept in a bounded pool; a file that changes under us is an error. */
  source(path: string): Promise<Source>;
  /** `undefined` when nothing is there. Symbolic links are followed unless `noFollow`. */
  info(path: string, options?: { readonly noFollow?: boolean }): Promise<FileInfo | undefined>;
  /** Names in byte order, without `.` and `..`. `invalid-input` for one that is not UTF-8, here and of `readLink`. */
  list(path: string): Promise<string[]>;
  /** Whole content; `limit` in bytes, above it `invalid-input`. */
  read(path: string, limit: number): Promise<Uint8Array>;
  readLink(path: string): Promise<string>;
  /** A new file, exclusively created: `io` when the path exists. */
  create(path: string, mode?: number): Promise<NewFile>;
  /** Opens an existing file to go on writing it (resumed downloads). */
  append(path: string): Promise<NewFile>;
  makeDirectory(path: string, mode?: number): Promise<void>;
  /** Atomic replacement on one file system. */
  rename(from: string, to: string): Promise<void>;
  /** Recursive; nothing there is no error. */
  remove(path: string): Promise<void>;
  /** Makes renames in a directory durable. */
  syncDirectory(path: string): Promise<void>;
  /** Sets the modification time to now: how the store marks use. */
  touch(path: string): Promise<void>;
  /** Free bytes on the file system that holds `path`. */
  freeSpace(path: string): Promise<number>;
}

export type HashAlgorithm = 'sha256' | 'sha384' | 'sha512';

/** Incremental digest; `digest` may be called once. */
export interface Hash {
  update(data: Uint8Array): void;
  /** Raw digest bytes. */
  digest(): Uint8Array;
}

/** A stream of bytes, read once. */
export type Chunks = AsyncIterable<Uint8Array>;

/** Byte-stream compression. Decoders take every member or frame of a stream and throw `invalid-input` on damage. */
export interface Compression {
  gunzip(input: Chunks, signal?: AbortSignal): Chunks;
  gzip(input: Chunks, options: { readonly level: number }, signal?: AbortSignal): Chunks;
  /** Decodes exactly one zstd frame; the frame walker of `formats/zstd` handles several. */
  unzstdFrame(input: Chunks, signal?: AbortSignal): Chunks;
  /**
   * `data` as raw deflate that others may precede and follow: it refers to nothing before it, ends on a byte boundary and is not final. Level 1..9.
   * Several calls at once run at once.
   */
  deflateStretch(data: Uint8Array, level: number): Promise<Uint8Array>;
  /** `data` as one zstd frame without a checksum; an empty frame may follow. Level 1..22. Several calls at once run at once. */
  zstdFrame(data: Uint8Array, level: number): Promise<Uint8Array>;
  /**
   * What one compressed block of a container stands for: a zlib stream, gzip members or a zstd frame, whole. Throws `invalid-input` on damage, and for more than `limit` bytes.
   * Fastest where `expected`, by default the limit, is how many there are. Several calls at once run at once.
   */
  unpackBlock(
    format: 'zlib' | 'gzip' | 'zstd',
    data: Uint8Array,
    limit: number,
    expected?: number,
  ): Promise<Uint8Array>;
  /** `undefined` where there is no native LZMA2: `formats/xz` then does without. */
  readonly lzma2: NativeLzma2 | undefined;
  /** As many calls as are worth having at work at once: more of them would only take the processors' caches from each other. */
  readonly parallelism: number;
  /** What the encoders above are made with, name and version: their bytes may change with it. */
  readonly encoders: { readonly deflate: string; readonly zstd: string };
  /** CRC-32 as of gzip, after what `previous` already covers (0 to begin). */
  crc32(data: Uint8Array, previous?: number): number;
}

/** LZMA2 by a native library. All calls work outside the main thread, several at once. */
export interface NativeLzma2 {
  /** Name and version: what is encoded may change with it. */
  readonly encoder: string;
  /** `data` as LZMA2 chunks from a dictionary reset on, end marker included. Preset 0..9; the dictionary in bytes, 4096 or more. */
  encode(data: Uint8Array, options: { readonly preset: number; readonly dictionarySize: number }): Promise<Uint8Array>;
  /** What LZMA2 chunks with their end marker stand for. Throws `invalid-input` on damage. */
  decode(chunks: Uint8Array, dictionarySize: number): Chunks;
  /**
   * What one xz stream stands for, whole: several times as fast as `unxz` where it is small. Nothing bounds the result but the stream itself, so that its
   * chunks have to be counted before. Throws `invalid-input` on damage.
   */
  unxzAtOnce(stream: Uint8Array): Promise<Uint8Array>;
  /** Decodes xz streams, one after the other, with any check. Throws `invalid-input` on damage. */
  unxz(input: Chunks, signal?: AbortSignal): Chunks;
}

/** PEM, the certificate with its chain. */
export interface ClientCertificate {
  readonly certificate: string;
  readonly key: string;
}

export interface HttpRequest {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | Chunks;
  /** Do not check the TLS certificate: only for registries the user marked insecure. */
  readonly insecureTls?: boolean;
  /** PEM certificates of authorities that are trusted besides the usual ones. */
  readonly ca?: string;
  /** Shown to a server that asks who is there. */
  readonly clientCertificate?: ClientCertificate;
  /** Milliseconds without a byte before the request fails. */
  readonly stallTimeout?: number;
  readonly signal?: AbortSignal;
}

/** Redirects are not followed: the caller decides what may go to another host. */
export interface HttpResponse {
  readonly status: number;
  /** Lower-case names; repeated headers as separate elements. */
  readonly headers: Readonly<Record<string, readonly string[]>>;
  /** Must be consumed or `discard`ed. */
  readonly body: Chunks;
  discard(): Promise<void>;
}

export interface ProcessResult {
  readonly exitCode: number;
  readonly stdout: Uint8Array;
  readonly stderr: Uint8Array;
}

export interface ProcessRequest {
  readonly command: string;
  readonly args: readonly string[];
  readonly stdin?: Uint8Array;
  /** The whole environment of the child; nothing is inherited. */
  readonly environment: Readonly<Record<string, string>>;
  readonly workingDirectory?: string;
  /** Milliseconds; then the child is killed and `dependency` thrown. */
  readonly timeout: number;
  /** Bytes of stdout and of stderr; above it the child is killed and `dependency` thrown. */
  readonly outputLimit: number;
  /** What messages call the program; `command` unless given. */
  readonly label?: string;
  /** Nothing may outlive the child: what it leaves behind in its process group, or with its output open, is killed and `dependency` thrown. */
  readonly alone?: boolean;
  /** What the files below `directory` may occupy, in bytes; above it the child is killed and `dependency` thrown. Looked at while it runs; files without a name are not seen. */
  readonly diskLimit?: { readonly directory: string; readonly bytes: number };
  readonly signal?: AbortSignal;
}

/** An RSA key that can sign. */
export interface RsaKey {
  /** SubjectPublicKeyInfo in DER. */
  readonly publicKey: Uint8Array;
  /** RSASSA-PKCS1-v1_5 of a digest made with `algorithm`. */
  sign(digest: Uint8Array, algorithm: HashAlgorithm): Promise<Uint8Array>;
}

/** A key that signs documents. */
export interface SigningKey {
  /** SubjectPublicKeyInfo in DER. */
  readonly publicKey: Uint8Array;
  /** Over the SHA-256 of `data`: ECDSA in DER, or RSASSA-PKCS1-v1_5. */
  sign(data: Uint8Array): Promise<Uint8Array>;
}

/** Keys and certificates in PEM. All throw `invalid-input` naming `what`. */
export interface Signing {
  /** ECDSA P-256 or RSA; of other kinds `unsupported`. `passphrase` for one that is encrypted. */
  signingKey(pem: string, what: string, passphrase?: string): Promise<SigningKey>;
  rsaKey(pem: string, what: string): RsaKey;
  /** Whole, and its SubjectPublicKeyInfo, in DER. */
  certificate(pem: string, what: string): { readonly der: Uint8Array; readonly publicKey: Uint8Array };
}

/** A machine: files, digests, compression, HTTP, programs. `nodePlatform` is the one there is. */
export interface Platform {
  readonly files: Files;
  readonly compression: Compression;
  readonly signing: Signing;
  hash(algorithm: HashAlgorithm): Hash;
  /** One HTTP exchange. Transport failures are `dependency` errors whose message has the host and the reason. */
  http(request: HttpRequest): Promise<HttpResponse>;
  /** Runs a program without a shell. A program that cannot be started is a `dependency` error. */
  run(request: ProcessRequest): Promise<ProcessResult>;
  /** The Node architecture in image terms. */
  readonly architecture: 'amd64' | 'arm64' | 'other';
  /** Read once at the edge; all folders but the command line get it only through here. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly homeDirectory: string;
  /** Closes pooled handles and connections. */
  close(): Promise<void>;
}
