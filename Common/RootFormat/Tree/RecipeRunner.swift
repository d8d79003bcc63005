import Bytes
import Columns

/// Runs a recipe over the entries of baskets and collects its columns. One per thread and range.
final class RecipeRunner {
    private let recipe: BranchRecipe
    /// A column for each leaf that is wanted.
    private var outputs: [GrowingColumn?]
    private var registers: [Int]
    private var base = UnsafeRawPointer(bitPattern: 64)!
    private var position = 0
    private var end = 0
    /// Whether the entry's end is known, so that what reaches to it may be read.
    private var endIsKnown = false
    private var entries = 0
    /// Items of the member-wise collection being read.
    private var items = 0

    /// - Parameter wanted: the leaves to collect.
    init(_ recipe: BranchRecipe, wanted: [Int], pool: BufferPool) {
        self.recipe = recipe
        let chosen = Set(wanted)
        outputs = recipe.leaves.enumerated().map { index, leaf in
            chosen.contains(index) && leaf.reason == nil
                ? GrowingColumn(type: leaf.type, levels: leaf.shape.varyingLevels, pool: pool) : nil
        }
        registers = .init(repeating: 0, count: recipe.registers)
    }

    /// Reads one entry that begins at `start`.
    /// - Parameter exact: whether the entry must end at `end`.
    /// - Returns: where it ends.
    func entry(_ bytes: UnsafeRawBufferPointer, from start: Int, to end: Int, exact: Bool) throws(InputError) -> Int {
        guard start >= 0, start <= end, end <= bytes.count else {
            throw InputError(
                .corrupt, "an entry lies outside its basket", offset: start, expected: "0 to \(bytes.count)",
                found: "\(start) to \(end)")
        }
        if let first = bytes.baseAddress { base = first }
        position = start
        self.end = end
        endIsKnown = exact
        try run(recipe.body)
        guard !exact || position == end else {
            throw InputError(
                .corrupt, "an entry has other bytes than its class describes", offset: start,
                expected: "\(end - start)", found: "\(position - start)",
                hint: Self.ownStreamer)
        }
        entries += 1
        return position
    }

    private static let ownStreamer = "The class may have a Streamer of its own, which only its library can undo."

    /// What was collected of a wanted leaf.
    func column(_ leaf: Int) throws(InputError) -> Column {
        guard let output = outputs[leaf] else {
            throw InputError(.unsupported, recipe.leaves[leaf].reason ?? "not wanted")
        }
        return output.column(recipe.leaves[leaf].shape, entries: entries)
    }

    private func require(_ count: Int) throws(InputError) {
        guard count >= 0, count <= end - position else {
            throw InputError(
                .truncated, "an entry ends too early", offset: position, expected: "\(count) more bytes",
                found: "\(end - position)")
        }
    }

    private func u32() throws(InputError) -> Int {
        try require(4)
        defer { position += 4 }
        return Int(UInt32(bigEndian: base.loadUnaligned(fromByteOffset: position, as: UInt32.self)))
    }

    private func u16() throws(InputError) -> Int {
        try require(2)
        defer { position += 2 }
        return Int(UInt16(bigEndian: base.loadUnaligned(fromByteOffset: position, as: UInt16.self)))
    }

    private func u8() throws(InputError) -> Int {
        try require(1)
        defer { position += 1 }
        return Int(base.load(fromByteOffset: position, as: UInt8.self))
    }

    /// A count of items: no more than the bytes that remain, so that a loop over it ends.
    private func count() throws(InputError) -> Int {
        let at = position
        let value = try u32()
        guard value <= end - position else {
            throw InputError(
                .badLength, "a count is larger than its entry", offset: at, expected: "0 to \(end - position)",
                found: "\(value)")
        }
        return value
    }

    /// A version, with the end of what it covers where that is stored.
    private func header() throws(InputError) -> (version: Int, end: Int?) {
        let start = position
        let first = try u16()
        guard first & 0x4000 != 0 else { return (Int(Int16(truncatingIfNeeded: first)), nil) }
        let length = (first & 0x3FFF) << 16 | (try u16())
        guard length >= 2, length <= end - position else {
            throw InputError(
                .badLength, "an object's byte count does not fit its entry", offset: start,
                expected: "2 to \(end - position)", found: "\(length)")
        }
        let stop = position + length
        return (Int(Int16(truncatingIfNeeded: try u16())), stop)
    }

    private func number(_ encoding: Encoding, _ leaf: Int, _ count: Int) throws(InputError) {
        let length = encoding.size * count
        try require(length)
        outputs[leaf]?.append(encoding, base + position, count)
        position += length
    }

    private func characters(_ leaf: Int, _ length: Int) throws(InputError) {
        try require(length)
        outputs[leaf]?.append(.plain(.uint8), base + position, length)
        outputs[leaf]?.push(recipe.leaves[leaf].shape.varyingLevels - 1, length)
        position += length
    }

    private func push(_ use: Recipe.LevelUse, _ count: Int) {
        for (leaf, level) in use.leaves { outputs[leaf]?.push(level, count) }
    }

    private func `repeat`(_ item: Recipe, _ count: Int) throws(InputError) {
        if case .number(let encoding, let leaf) = item { return try number(encoding, leaf, count) }
        for _ in 0..<count { try run(item) }
    }

    private func run(_ recipe: Recipe) throws(InputError) {
        switch recipe {
        case .number(let encoding, let leaf): try number(encoding, leaf, 1)
        case .counter(let encoding, let leaf, let register):
            let at = position
            try number(encoding, leaf, 1)
            registers[register] = value(encoding.type, at)
        case .bits(let leaf):
            let bits = try u32()
            position -= 4
            try number(.plain(.uint32), leaf, 1)
            if bits & 0x10 != 0 { try skip(2) }
        case .text(let leaf):
            var length = try u8()
            if length == 255 { length = try count() }
            try characters(leaf, length)
        case .longText(let leaf): try characters(leaf, try count())
        case .skip(let count): try skip(count)
        case .rootObject:
            let (_, stop) = try header()
            try skip(4)
            if try u32() & 0x10 != 0 { try skip(2) }
            if let stop { position = stop }
        case .pointer:
            let tag = try u32()
            if tag & 0x4000_0000 != 0, tag != 0xFFFF_FFFF { try skip(tag & 0x3FFF_FFFF) }
        case .several(let parts): for part in parts { try run(part) }
        case .fixed(let count, let item): try `repeat`(item, count)
        case .counted(let register, let flagged, let item, let use):
            try counted(registers[register], flagged, item, use)
        case .triangle(let register, let item, let use):
            let rows = registers[register]
            guard (0...1 << 15).contains(rows) else {
                throw InputError(.corrupt, "a matrix has no such number of rows", offset: position, found: "\(rows)")
            }
            try counted(rows * (rows + 1) / 2, false, item, use)
        case .sequence(let item, let use):
            let count = try count()
            push(use, count)
            try `repeat`(item, count)
        case .toEnd(let item, let use):
            var count = 0
            while position < end {
                try run(item)
                count += 1
            }
            push(use, count)
        case .passed: try pass()
        case .rest:
            try requireEnd()
            position = end
        case .share(let register, let each, let fixed): registers[register] = try share(each, fixed)
        case .headed(let body): try bounded(try header().end) { () throws(InputError) in try run(body) }
        case .collection(let whole, let memberWise, let name): try collection(whole, memberWise, name)
        case .object(let name, let version, let checksum, let body, let complete):
            try object(name, version, checksum, body, complete)
        case .named(let name, let body): try named(name, body)
        case .versioned(let version, let body): try versioned(version, body)
        case .columns(let parts, let use): try columns(parts, use)
        case .clones(let name, let whole, let memberWise, let use): try clones(name, whole, memberWise, use)
        case .forEachItem(let body): try `repeat`(body, items)
        }
    }

    /// Goes to the end of what is not read.
    private func pass() throws(InputError) {
        guard let stop = try header().end else {
            throw InputError(.unsupported, "an object that is not read has no length of its own", offset: position)
        }
        position = stop
    }

    /// How many items of `each` bytes fill what is left of the entry, but for `fixed` bytes.
    private func share(_ each: Int, _ fixed: Int) throws(InputError) -> Int {
        try requireEnd()
        let bytes = end - position - fixed
        guard bytes >= 0, bytes % each == 0 else {
            throw InputError(
                .corrupt, "an entry's leaves have different numbers of items", offset: position,
                expected: "a multiple of \(each) bytes beside \(fixed)", found: "\(end - position)")
        }
        return bytes / each
    }

    private func skip(_ count: Int) throws(InputError) {
        try require(count)
        position += count
    }

    private func value(_ type: DataType, _ at: Int) -> Int {
        switch type.size {
        case 1: Int(base.loadUnaligned(fromByteOffset: at, as: UInt8.self))
        case 2: Int(UInt16(bigEndian: base.loadUnaligned(fromByteOffset: at, as: UInt16.self)))
        case 4: Int(UInt32(bigEndian: base.loadUnaligned(fromByteOffset: at, as: UInt32.self)))
        default: Int(truncatingIfNeeded: Int64(bigEndian: base.loadUnaligned(fromByteOffset: at, as: Int64.self)))
        }
    }

    private func counted(_ announced: Int, _ flagged: Bool, _ item: Recipe, _ use: Recipe.LevelUse) throws(InputError) {
        if flagged, try u8() == 0 { return push(use, 0) }
        guard announced >= 0, announced <= end - position else {
            throw InputError(
                .badLength, "an array is longer than its entry", offset: position, expected: "0 to \(end - position)",
                found: "\(announced)")
        }
        push(use, announced)
        try `repeat`(item, announced)
    }

    /// Runs `body` so that it cannot pass `stop`, and checks that it reaches it.
    private func bounded(_ stop: Int?, _ body: () throws(InputError) -> Void) throws(InputError) {
        guard let stop else { return try body() }
        let outer = end
        end = stop
        defer { end = outer }
        try body()
        guard position == stop else {
            throw InputError(
                .corrupt, "a value has other bytes than its class describes", offset: position,
                expected: "its end at \(stop)", found: "\(position)", hint: Self.ownStreamer)
        }
    }

    private func collection(_ whole: Recipe, _ memberWise: Recipe?, _ name: String) throws(InputError) {
        let (version, stop) = try header()
        guard version & 0x4000 != 0, version > 0 else {
            return try bounded(stop) { () throws(InputError) in try run(whole) }
        }
        guard let memberWise else {
            throw InputError(.unsupported, "the member-wise form of \(name) is not read", offset: position)
        }
        guard version & 0x3FFF >= 9 else {
            throw InputError(
                .unsupported, "the member-wise form of an old ROOT is not read", offset: position,
                found: "version \(version & 0x3FFF)")
        }
        try bounded(stop) { () throws(InputError) in try run(memberWise) }
    }

    private func object(
        _ name: String, _ expected: Int, _ checksum: UInt32, _ body: Recipe, _ complete: Bool
    ) throws(InputError) {
        let start = position
        let (version, stop) = try header()
        if version <= 0, stop != nil {
            let found = try u32()
            guard checksum == 0 || found == Int(checksum) else {
                throw InputError(
                    .unsupported, "the file holds another layout of \(name) than it describes", offset: start,
                    expected: "checksum \(checksum)", found: "\(found)")
            }
        } else if expected >= 0, version != expected {
            guard stop != nil else {
                // Whatever ROOT makes writes a byte count before its version.
                throw InputError(
                    .unsupported, "the class \(name) has a Streamer of its own, which only its library can undo",
                    offset: start)
            }
            throw InputError(
                .unsupported, "the file holds an older layout of \(name)", offset: start,
                expected: "version \(expected)", found: "\(version)")
        }
        guard complete else {
            guard let stop else {
                throw InputError(.unsupported, "an object of \(name) has no length of its own", offset: start)
            }
            let outer = end
            end = stop
            defer { end = outer }
            try run(body)
            position = stop
            return
        }
        try bounded(stop) { () throws(InputError) in try run(body) }
    }

    private func named(_ name: String, _ body: Recipe) throws(InputError) {
        let length = try u8()
        try require(length + 1)
        let found = String(decoding: UnsafeRawBufferPointer(start: base + position, count: length), as: UTF8.self)
        position += length + 1
        guard length == 0 || found == name else {
            throw InputError(
                .unsupported, "an entry is of another class than its branch", expected: name, found: found)
        }
        try run(body)
    }

    private func versioned(_ expected: Int, _ body: Recipe) throws(InputError) {
        let version = Int(Int16(truncatingIfNeeded: try u16()))
        if version <= 0 {
            // A class without a version has its checksum here.
            try skip(4)
        } else if expected > 0, version != expected {
            throw InputError(
                .unsupported, "member-wise items have an older layout", offset: position,
                expected: "version \(expected)", found: "\(version)")
        }
        try run(body)
    }

    private func columns(_ parts: [Recipe], _ use: Recipe.LevelUse) throws(InputError) {
        let outer = items
        let count = try count()
        items = count
        defer { items = outer }
        push(use, count)
        guard count > 0 else { return }
        for part in parts { try run(part) }
    }

    /// A TClonesArray: its own header, its TObject with the bits, its name, its items' class, their number and the
    /// lowest index.
    private func clones(
        _ name: String, _ whole: Recipe, _ memberWise: Recipe?, _ use: Recipe.LevelUse
    ) throws(InputError) {
        try bounded(try header().end) { () throws(InputError) in
            _ = try header()
            try skip(4)
            let bits = try u32()
            if bits & 0x10 != 0 { try skip(2) }
            _ = try string()
            let found = try string()
            guard found == name else {
                throw InputError(
                    .unsupported, "an entry's items are of another class than the first one's", offset: position,
                    expected: name, found: found)
            }
            let count = try count()
            try skip(4)
            push(use, count)
            // TClonesArray::kBypassStreamer
            guard bits & 0x1000 != 0 else {
                for _ in 0..<count {
                    guard try u8() != 0 else {
                        throw InputError(.unsupported, "a TClonesArray with gaps is not read", offset: position)
                    }
                    try run(whole)
                }
                return
            }
            guard let memberWise else {
                throw InputError(.unsupported, "the member-wise form of \(name) is not read", offset: position)
            }
            let outer = items
            items = count
            defer { items = outer }
            try run(memberWise)
        }
    }

    /// A TString that is no column.
    private func string() throws(InputError) -> String {
        var length = try u8()
        if length == 255 { length = try count() }
        try require(length)
        defer { position += length }
        return String(decoding: UnsafeRawBufferPointer(start: base + position, count: length), as: UTF8.self)
    }

    /// Without entry offsets nobody knows where an entry ends.
    private func requireEnd() throws(InputError) {
        guard endIsKnown else {
            throw InputError(
                .unsupported, "entries that only their end delimits have no entry offsets", offset: position)
        }
    }
}
