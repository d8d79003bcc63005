package import Bytes
import CCodecs

/// Inflates ROOT's compressed records. One per thread: it keeps the codecs' contexts.
package final class Inflater {
    private let deflate = libdeflate_alloc_decompressor()
    private let zstd = ZSTD_createDCtx()

    package init() {}

    deinit {
        libdeflate_free_decompressor(deflate)
        ZSTD_freeDCtx(zstd)
    }

    private static let headerSize = 9

    /// Whether so many bytes may come from `stored`. Deflate reaches a thousandfold; zstd and xz far more, which small
    /// records may.
    static func isPlausible(_ announced: Int, from stored: Int) -> Bool {
        announced > stored && stored >= headerSize && (announced / 1100 <= stored || announced <= 64 << 20)
    }

    /// A record that may be stored as it is: then `stored` itself.
    static func inflate(_ stored: [UInt8], to length: Int) throws(InputError) -> [UInt8] {
        guard length != stored.count else { return stored }
        guard isPlausible(length, from: stored.count) else {
            throw InputError(
                .badLength, "a record's inflated length is not plausible",
                found: "\(length) bytes from \(stored.count)")
        }
        var output = [UInt8](repeating: 0, count: length)
        var failure: InputError?
        output.withUnsafeMutableBytes { target in
            stored.withUnsafeBytes { input in
                do throws(InputError) { try Inflater().inflate(input, into: target) } catch { failure = error }
            }
        }
        if let failure { throw failure }
        return output
    }

    /// Inflates a sequence of ROOT blocks (9-byte header each) into exactly `output.count` bytes.
    ///
    /// - Throws: `InputError` for an unknown algorithm, a wrong checksum or length. It never writes past `output`.
    package func inflate(
        _ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer
    ) throws(InputError) {
        var source = 0
        var written = 0
        while written < output.count {
            guard input.count - source >= Self.headerSize else {
                throw InputError(
                    .truncated, "compressed data end too early", offset: source,
                    expected: "\(output.count) inflated bytes", found: "\(written)")
            }
            let head = UnsafeRawBufferPointer(rebasing: input[source..<source + Self.headerSize])
            let packed = Int(head[3]) | Int(head[4]) << 8 | Int(head[5]) << 16
            let unpacked = Int(head[6]) | Int(head[7]) << 8 | Int(head[8]) << 16
            source += Self.headerSize
            guard packed <= input.count - source, unpacked <= output.count - written, unpacked > 0 else {
                throw InputError(
                    .badLength, "a compressed block's lengths do not fit its record", offset: source - Self.headerSize,
                    expected: "at most \(input.count - source) and \(output.count - written) bytes",
                    found: "\(packed) and \(unpacked)")
            }
            let body = UnsafeRawBufferPointer(rebasing: input[source..<source + packed])
            let target = UnsafeMutableRawBufferPointer(rebasing: output[written..<written + unpacked])
            do {
                try inflateBlock(UInt16(head[0]) << 8 | UInt16(head[1]), body, target)
            } catch {
                var located = error
                located.offset = source - Self.headerSize
                throw located
            }
            source += packed
            written += unpacked
        }
    }

    private func inflateBlock(
        _ tag: UInt16, _ body: UnsafeRawBufferPointer, _ target: UnsafeMutableRawBufferPointer
    ) throws(InputError) {
        let produced: Int
        guard let method = CompressionMethod(rawValue: tag) else {
            let name = String(decoding: [UInt8(tag >> 8), UInt8(tag & 0xFF)], as: UTF8.self)
            throw InputError(
                .unsupported, "unknown compression", expected: "ZL, L4, ZS, XZ or CS", found: name.debugDescription)
        }
        switch method {
        case .zlib:
            var size = 0
            let result = libdeflate_zlib_decompress(
                deflate, body.baseAddress, body.count, target.baseAddress, target.count, &size)
            produced = result == LIBDEFLATE_SUCCESS ? size : -1
        case .old:
            var size = 0
            let result = libdeflate_deflate_decompress(
                deflate, body.baseAddress, body.count, target.baseAddress, target.count, &size)
            produced = result == LIBDEFLATE_SUCCESS ? size : -1
        case .lz4:  // a big-endian xxhash64 of the block, then the block
            guard body.count > 8 else { throw InputError(.truncated, "an LZ4 block has no room for its checksum") }
            let expected = UInt64(bigEndian: body.loadUnaligned(as: UInt64.self))
            let block = UnsafeRawBufferPointer(rebasing: body[8...])
            let found = XXH64(block.baseAddress, block.count, 0)
            guard expected == found else {
                throw InputError(
                    .badChecksum, "an LZ4 block's checksum is wrong", expected: String(expected, radix: 16),
                    found: String(found, radix: 16), hint: "The file is damaged: fetch it again or use another replica."
                )
            }
            produced = Int(
                LZ4_decompress_safe(
                    block.baseAddress?.assumingMemoryBound(to: CChar.self),
                    target.baseAddress?.assumingMemoryBound(to: CChar.self), Int32(block.count), Int32(target.count)))
        case .zstd:
            let size = ZSTD_decompressDCtx(zstd, target.baseAddress, target.count, body.baseAddress, body.count)
            produced = ZSTD_isError(size) == 0 ? size : -1
        case .lzma: produced = inflateXZ(body, target)
        }
        guard produced == target.count else {
            throw InputError(
                .corrupt, "a compressed block does not inflate", expected: "\(target.count) bytes",
                found: produced < 0 ? "an error of the codec" : "\(produced)")
        }
    }

    private func inflateXZ(_ body: UnsafeRawBufferPointer, _ target: UnsafeMutableRawBufferPointer) -> Int {
        var memoryLimit: UInt64 = 80 << 20
        var inputPosition = 0
        var outputPosition = 0
        let result = lzma_stream_buffer_decode(
            &memoryLimit, 0, nil, body.baseAddress?.assumingMemoryBound(to: UInt8.self), &inputPosition, body.count,
            target.baseAddress?.assumingMemoryBound(to: UInt8.self), &outputPosition, target.count)
        return result == LZMA_OK ? outputPosition : -1
    }
}
