package import Bytes
import CCodecs
import Glibc

/// Writes named arrays as a `.npz` file: a ZIP archive of uncompressed `.npy` entries, as `numpy.savez` writes it.
///
/// The bytes depend on the arrays and their order alone: all time stamps are 1980-01-01. The file has the name
/// `PATH.partial` until `finish` has written, synced and renamed it, so that a file called `PATH` is always whole.
/// Elements are written as they come; nothing is held but the list of entries.
package final class NpzWriter {
    /// An entry that is written.
    private struct Entry {
        var name: [UInt8]
        var checksum: UInt32
        /// Bytes of the entry's content.
        var size: UInt64
        /// Where its header lies in the file.
        var offset: UInt64
    }

    private let path: String
    private let partialPath: String
    private let descriptor: Int32
    private var position: UInt64 = 0
    private var entries: [Entry] = []
    private var isFinished = false
    /// Sizes and offsets from here on are written as ZIP64 has them, in 64 bits.
    private let zip64From: UInt64

    /// - Parameters:
    ///   - path: the file's name in the end; a file that is there is replaced by `finish`.
    ///   - zip64From: the smallest size or offset that is written in 64 bits; tests take smaller ones than 2^32 - 1.
    /// - Throws: `InputError` with the path where the file cannot be made.
    package init(path: String, zip64From: UInt64 = 0xFFFF_FFFF) throws(InputError) {
        self.path = path
        self.zip64From = min(zip64From, 0xFFFF_FFFF)
        partialPath = path + ".partial"
        descriptor = open(partialPath, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o666)
        if descriptor < 0 { throw failure("the file cannot be made") }
    }

    deinit {
        guard !isFinished, descriptor >= 0 else { return }
        close(descriptor)
        unlink(partialPath)
    }

    /// Adds an array.
    ///
    /// - Parameters:
    ///   - name: without `.npy`; no other array has it.
    ///   - content: hands all bytes of the array, in order, to the function that it is called with.
    /// - Throws: `InputError` with the path where the disk does not take them, or the name is that of another array.
    package func add(
        _ name: String, _ array: NpyArray,
        content: ((UnsafeRawBufferPointer) throws(InputError) -> Void) throws(InputError) -> Void
    ) throws(InputError) {
        precondition(!isFinished)
        let fileName = Array((name + ".npy").utf8)
        guard fileName.count < 1 << 15, !entries.contains(where: { $0.name == fileName }) else {
            throw InputError(
                .input, "two arrays of an archive have one name, or the name is too long", file: path, object: name)
        }
        let header = array.header
        var entry = Entry(name: fileName, checksum: 0, size: 0, offset: position)
        entry.size = UInt64(header.count + array.byteCount)
        try write(localHeader(entry))
        var written = 0
        func put(_ bytes: UnsafeRawBufferPointer) throws(InputError) {
            guard let start = bytes.baseAddress, !bytes.isEmpty else { return }
            entry.checksum = libdeflate_crc32(entry.checksum, start, bytes.count)
            written += bytes.count
            try write(bytes)
        }
        try Self.withBytes(header, put)
        try content(put)
        precondition(UInt64(written) == entry.size, "the content of \(name) is not as long as its array")
        // The checksum is known only now.
        try Self.withBytes(Self.little(entry.checksum)) { (bytes) throws(InputError) in
            try write(bytes, at: entry.offset + 14)
        }
        entries.append(entry)
    }

    /// Adds a one-dimensional array of numbers.
    /// - Throws: as `add` with content does.
    package func add<Number: NpyNumber>(_ name: String, _ numbers: [Number]) throws(InputError) {
        try add(name, NpyArray(Number.element, shape: [numbers.count])) { (put) throws(InputError) in
            try Self.withBytes(numbers, put)
        }
    }

    /// Adds a one-dimensional array of texts.
    /// - Throws: as `add` with content does.
    package func add(_ name: String, texts: [String]) throws(InputError) {
        let (array, bytes) = NpyArray.texts(texts)
        try add(name, array) { (put) throws(InputError) in try Self.withBytes(bytes, put) }
    }

    /// Writes the archive's directory, waits until the disk has everything, and gives the file its name.
    /// - Throws: `InputError` with the path where that fails.
    package func finish() throws(InputError) {
        precondition(!isFinished)
        let start = position
        for entry in entries { try write(directoryEntry(entry)) }
        try write(directoryEnd(start: start, size: position - start))
        guard fsync(descriptor) == 0 else { throw failure("the file cannot be written") }
        isFinished = true
        guard close(descriptor) == 0, rename(partialPath, path) == 0 else {
            let error = failure("the file cannot be closed or renamed")
            unlink(partialPath)
            throw error
        }
    }

    // MARK: The file

    private func failure(_ message: String) -> InputError {
        InputError(.denied, message, file: path, found: String(cString: strerror(errno)))
    }

    private func write(_ bytes: [UInt8]) throws(InputError) {
        try Self.withBytes(bytes) { (bytes) throws(InputError) in try write(bytes) }
    }

    private func write(_ bytes: UnsafeRawBufferPointer) throws(InputError) {
        try write(bytes, at: position)
        position += UInt64(bytes.count)
    }

    private func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(InputError) {
        var done = 0
        while done < bytes.count {
            let count = pwrite(
                descriptor, bytes.baseAddress! + done, bytes.count - done, off_t(offset) + off_t(done))
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw failure("the file cannot be written") }
            done += count
        }
    }

    private static func withBytes<Value: BitwiseCopyable>(
        _ values: [Value], _ body: (UnsafeRawBufferPointer) throws(InputError) -> Void
    ) throws(InputError) {
        try values.withUnsafeBufferPointer { (values) throws(InputError) in
            try body(UnsafeRawBufferPointer(values))
        }
    }

    // MARK: ZIP records

    private static func little(_ value: some FixedWidthInteger & UnsignedInteger) -> [UInt8] {
        stride(from: 0, to: value.bitWidth, by: 8).map { UInt8(truncatingIfNeeded: value >> $0) }
    }

    /// Versions of the format: 4.5 has ZIP64.
    private func version(_ isLarge: Bool) -> UInt16 { isLarge ? 45 : 20 }

    /// Flags (bit 11: the name is UTF-8), no compression, and 1980-01-01 00:00.
    private static let properties =
        little(1 << 11 as UInt16) + little(0 as UInt16) + little(0 as UInt16) + little(0x21 as UInt16)

    private func localHeader(_ entry: Entry) -> [UInt8] {
        let isLarge = entry.size >= zip64From
        let size = Self.little(isLarge ? UInt32.max : UInt32(entry.size))
        let extra = isLarge ? Self.extra([entry.size, entry.size]) : []
        return Self.little(0x0403_4B50 as UInt32) + Self.little(version(isLarge)) + Self.properties
            + Self.little(entry.checksum) + size + size + Self.little(UInt16(entry.name.count))
            + Self.little(UInt16(extra.count)) + entry.name + extra
    }

    /// The field of an entry's header that has what does not fit in 32 bits.
    private static func extra(_ values: [UInt64]) -> [UInt8] {
        little(1 as UInt16) + little(UInt16(8 * values.count)) + values.flatMap { little($0) }
    }

    private func directoryEntry(_ entry: Entry) -> [UInt8] {
        let (isLarge, isFar) = (entry.size >= zip64From, entry.offset >= zip64From)
        let size = Self.little(isLarge ? UInt32.max : UInt32(entry.size))
        let large = (isLarge ? [entry.size, entry.size] : []) + (isFar ? [entry.offset] : [])
        let extra = large.isEmpty ? [] : Self.extra(large)
        let version = version(!large.isEmpty)
        // Made on Unix (3), a plain file that all may read.
        return Self.little(0x0201_4B50 as UInt32) + Self.little(3 << 8 | version) + Self.little(version)
            + Self.properties + Self.little(entry.checksum) + size + size + Self.little(UInt16(entry.name.count))
            + Self.little(UInt16(extra.count)) + [UInt8](repeating: 0, count: 6)
            + Self.little(UInt32(0o100644) << 16) + Self.little(isFar ? UInt32.max : UInt32(entry.offset))
            + entry.name + extra
    }

    private func directoryEnd(start: UInt64, size: UInt64) -> [UInt8] {
        let count = UInt64(entries.count)
        let isLarge = count >= 0xFFFF || start >= zip64From || size >= zip64From
        var bytes: [UInt8] = []
        if isLarge {
            bytes += Self.little(0x0606_4B50 as UInt32) + Self.little(44 as UInt64)
            bytes += Self.little(3 << 8 | version(true)) + Self.little(version(true))
            bytes += Self.little(0 as UInt64) + Self.little(count) + Self.little(count)
            bytes += Self.little(size) + Self.little(start)
            // Where the record above lies; one disk in all.
            bytes += Self.little(0x0706_4B50 as UInt32) + Self.little(0 as UInt32) + Self.little(start + size)
            bytes += Self.little(1 as UInt32)
        }
        let short = Self.little(isLarge ? UInt16.max : UInt16(count))
        return bytes + Self.little(0x0605_4B50 as UInt32) + Self.little(0 as UInt32) + short + short
            + Self.little(isLarge ? UInt32.max : UInt32(size)) + Self.little(isLarge ? UInt32.max : UInt32(start))
            + Self.little(0 as UInt16)
    }
}
