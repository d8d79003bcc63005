import Bytes
import CCodecs
import Columns
import Storage

/// Turns pages into columns. One per thread.
final class PageReader {
    private let pool: BufferPool
    private let inflater = Inflater()
    /// The last page of which a part was wanted, decoded: neighbouring ranges of entries share it.
    private var held: (pages: NTuplePages, page: NTuplePages.Page, physical: Int, buffer: AlignedBuffer)?

    init(pool: BufferPool) { self.pool = pool }

    func column(
        _ column: NTupleColumn, _ plan: NTuplePlan, _ type: DataType, _ shape: Shape, _ entries: Range<Int64>,
        _ fetched: FetchedRanges
    ) throws(InputError) -> Column {
        var output = GrowingColumn(type: type, levels: shape.varyingLevels, pool: pool)
        var covered = entries.lowerBound
        for part in plan.parts {
            covered += Int64(part.entries.count)
            try append(part, of: column, to: &output, fetched)
        }
        guard covered == entries.upperBound else {
            throw InputError(
                .missing, "the column has no data for some entries", expected: "entries up to \(entries.upperBound)",
                found: "up to \(covered)")
        }
        return output.column(shape, entries: entries.count)
    }

    private func append(
        _ part: NTuplePlan.Part, of column: NTupleColumn, to output: inout GrowingColumn, _ fetched: FetchedRanges
    ) throws(InputError) {
        var range = part.entries
        var next = 0
        var level = 0
        let source = PageSource(pages: column.pages, cluster: part.cluster, fetched: fetched)
        for step in column.steps {
            switch step {
            case .fixed(let count): range = range.lowerBound * count..<range.upperBound * count
            case .collection:
                range = try collection(range, part.runs[next], source) { (count) throws(InputError) in
                    output.push(level, count)
                }
                next += 1
                level += 1
            case .alternative(_, let tag):
                range = try alternative(range, tag, part.runs[next], source) { output.push(level, $0) }
                next += 1
                level += 1
            }
        }
        guard next < part.runs.count else { throw InputError(.corrupt, "a field has no column in this cluster") }
        let run = part.runs[next]
        switch column.leaf {
        case .cardinality:
            try check(max(0, range.lowerBound - 1)..<range.upperBound, run, source)
            output.reserve(range.count * 8)
            var target = (output.values.pointer + output.used).assumingMemoryBound(to: Int64.self)
            _ = try collection(range, run, source) { (count) throws(InputError) in
                target.pointee = Int64(count)
                target += 1
            }
            output.used += range.count * 8
        case .numbers:
            let physical = column.pages.columns[run.physical]
            guard let decoded = physical.decodedType else {
                throw InputError(.unsupported, "a column type that this version does not know")
            }
            // Elements are bounded by the pages' own counts before they are allocated for.
            try check(range, run, source)
            output.reserve(range.count * output.type.size)
            let target = output.values.pointer + output.used
            if decoded == output.type {
                try elements(range, run, source, to: target)
            } else {
                let buffer = pool.take(range.count * decoded.size)
                defer { pool.give(buffer) }
                try elements(range, run, source, to: buffer.pointer)
                decoded.convert(buffer.pointer, range.count, to: output.type, target)
            }
            output.used += range.count * output.type.size
        }
    }

    /// The items of the collections `range`.
    private func collection(
        _ range: Range<Int>, _ run: NTuplePlan.Run, _ source: PageSource, _ each: (Int) throws(InputError) -> Void
    ) throws(InputError) -> Range<Int> {
        guard !range.isEmpty else { return 0..<0 }
        let withPrevious = max(0, range.lowerBound - 1)..<range.upperBound
        try check(withPrevious, run, source)
        let physical = source.pages.columns[run.physical]
        let buffer = pool.take(withPrevious.count * physical.decodedSize)
        defer { pool.give(buffer) }
        try elements(withPrevious, run, source, to: buffer.pointer)
        func end(_ index: Int) -> Int {
            physical.bits == 32
                ? Int(buffer.values(of: UInt32.self, count: withPrevious.count)[index])
                : Int(truncatingIfNeeded: buffer.values(of: UInt64.self, count: withPrevious.count)[index])
        }
        var previous = range.lowerBound == 0 ? 0 : end(0)
        let first = previous
        guard first >= 0 else { throw InputError(.corrupt, "an index is not plausible", found: "\(first)") }
        for index in (range.lowerBound == 0 ? 0 : 1)..<withPrevious.count {
            let here = end(index)
            guard here >= previous, here <= 1 << 36 else {
                throw InputError(.corrupt, "an index column falls", expected: "at least \(previous)", found: "\(here)")
            }
            try each(here - previous)
            previous = here
        }
        return first..<previous
    }

    /// The items of one alternative among the variants `range`: its items follow each other.
    private func alternative(
        _ range: Range<Int>, _ tag: UInt32, _ run: NTuplePlan.Run, _ source: PageSource, _ each: (Int) -> Void
    ) throws(InputError) -> Range<Int> {
        // Where the wanted ones begin follows from all before them.
        let all = 0..<range.upperBound
        try check(all, run, source)
        let buffer = pool.take(all.count * 4)
        defer { pool.give(buffer) }
        try elements(all, run, source, to: buffer.pointer)
        let tags = buffer.values(of: UInt32.self, count: all.count)
        let first = tags[..<range.lowerBound].count { $0 == tag }
        var count = 0
        for index in range {
            let one = tags[index] == tag ? 1 : 0
            each(one)
            count += one
        }
        return first..<first + count
    }

    private struct PageSource {
        let pages: NTuplePages
        let cluster: Int
        let fetched: FetchedRanges
    }

    private func check(_ range: Range<Int>, _ run: NTuplePlan.Run, _ source: PageSource) throws(InputError) {
        guard !range.isEmpty else { return }
        let physical = source.pages.columns[run.physical]
        let pages = source.pages.clusters[source.cluster].column(run.physical).pages[run.pages]
        let end = run.firstElement + pages.reduce(0) { $0 + $1.count }
        // Below the padding there are zeros; the first page wanted follows it or begins before the range.
        let begins = range.lowerBound >= run.firstElement || run.firstElement == run.padding
        guard range.upperBound <= max(end, run.padding), begins else {
            throw InputError(
                .corrupt, "a column has fewer elements than its index declares",
                expected: "\(range.lowerBound) to \(range.upperBound)",
                found: "\(run.firstElement) to \(end)")
        }
        let zeros = max(0, min(run.padding, range.upperBound) - range.lowerBound)
        guard range.count <= 1 << 30 / physical.decodedSize, zeros <= 1 << 28 / physical.decodedSize else {
            throw InputError(
                .limit, "a column has more values in these entries than are read at once", found: "\(range.count)",
                hint: "Ask for fewer entries.")
        }
        // What the pages announce is believed only as far as their bytes can hold it.
        for page in pages { try checkPlausible(page, physical) }
    }

    private func checkPlausible(_ page: NTuplePages.Page, _ physical: NTupleSchema.Column) throws(InputError) {
        // Pages have a mebibyte by default; bits grow eightfold when they are decoded.
        guard page.count * physical.decodedSize <= 256 << 20 else {
            throw InputError(
                .limit, "a page is implausibly large", offset: page.range.offset, found: "\(page.count) elements")
        }
        let (plain, stored) = (physical.pageSize(page.count), page.range.length)
        guard plain == stored || Inflater.isPlausible(plain, from: stored) else {
            throw InputError(
                .badLength, "a page's inflated length is not plausible", offset: page.range.offset,
                found: "\(plain) from \(stored)")
        }
    }

    /// The decoded elements `range`, counted from the cluster's start.
    private func elements(
        _ range: Range<Int>, _ run: NTuplePlan.Run, _ source: PageSource, to target: UnsafeMutableRawPointer
    ) throws(InputError) {
        let physical = source.pages.columns[run.physical]
        let size = physical.decodedSize
        let pages = source.pages.clusters[source.cluster].column(run.physical).pages
        if range.lowerBound < run.padding {
            let zeros = min(run.padding, range.upperBound) - range.lowerBound
            target.initializeMemory(as: UInt8.self, repeating: 0, count: zeros * size)
        }
        var position = run.firstElement
        for (index, number) in run.pages.enumerated() {
            let page = pages[number]
            defer { position += page.count }
            let wanted = range.clamped(to: position..<position + page.count)
            guard !wanted.isEmpty else { continue }
            let destination = target + (wanted.lowerBound - range.lowerBound) * size
            try decode(
                page, of: source.pages, source.fetched.slices[run.firstRange + index], run.physical,
                wanted.lowerBound - position..<wanted.upperBound - position, destination)
        }
    }

    private func decode(
        _ page: NTuplePages.Page, of pages: NTuplePages, _ stored: UnsafeRawBufferPointer, _ number: Int,
        _ wanted: Range<Int>,
        _ target: UnsafeMutableRawPointer
    ) throws(InputError) {
        let physical = pages.columns[number]
        let size = physical.decodedSize
        if let held, held.pages === pages, held.page == page, held.physical == number,
            held.buffer.capacity >= page.count * size
        {
            return target.copyMemory(
                from: held.buffer.pointer + wanted.lowerBound * size, byteCount: wanted.count * size)
        }
        let body = UnsafeRawBufferPointer(rebasing: stored[..<page.range.length])
        if page.hasChecksum {
            let expected = (stored.baseAddress! + page.range.length).loadUnaligned(as: UInt64.self)
            let found = XXH3_64bits(body.baseAddress, body.count)
            guard expected == found else {
                throw InputError(
                    .badChecksum, "a page's checksum is wrong", offset: page.range.offset,
                    expected: String(expected, radix: 16),
                    found: String(found, radix: 16), hint: "The file is damaged: fetch it again or use another replica."
                )
            }
        }
        let plain = physical.pageSize(page.count)
        try checkPlausible(page, physical)
        if plain == body.count { return try finish(body, page, of: pages, number, wanted, target) }
        let inflated = pool.take(plain)
        defer { pool.give(inflated) }
        let bytes = UnsafeMutableRawBufferPointer(start: inflated.pointer, count: plain)
        do throws(InputError) { try inflater.inflate(body, into: bytes) } catch {
            var located = error
            located.offset = page.range.offset
            throw located
        }
        try finish(UnsafeRawBufferPointer(bytes), page, of: pages, number, wanted, target)
    }

    private func finish(
        _ bytes: UnsafeRawBufferPointer, _ page: NTuplePages.Page, of pages: NTuplePages, _ number: Int,
        _ wanted: Range<Int>,
        _ target: UnsafeMutableRawPointer
    ) throws(InputError) {
        let physical = pages.columns[number]
        let size = physical.decodedSize
        if wanted.count == page.count { return try physical.decode(bytes, page.count, to: target) }
        let buffer = pool.take(page.count * size)
        try physical.decode(bytes, page.count, to: buffer.pointer)
        target.copyMemory(from: buffer.pointer + wanted.lowerBound * size, byteCount: wanted.count * size)
        if let held { pool.give(held.buffer) }
        held = (pages, page, number, buffer)
    }
}

extension DataType {
    /// Converts `count` numbers of this type to another: whole numbers keep their low bits, reals are rounded.
    func convert(_ source: UnsafeRawPointer, _ count: Int, to other: DataType, _ target: UnsafeMutableRawPointer) {
        withType(SourceVisitor(source: source, count: count, targetType: other, target: target))
    }

    private struct SourceVisitor: TypeVisitor {
        let source: UnsafeRawPointer
        let count: Int
        let targetType: DataType
        let target: UnsafeMutableRawPointer

        func visit<Source: NativeValue>(_: Source.Type) {
            let values = UnsafeBufferPointer(start: source.assumingMemoryBound(to: Source.self), count: count)
            targetType.withType(TargetVisitor(values: values, target: target))
        }
    }

    private struct TargetVisitor<Source: NativeValue>: TypeVisitor {
        let values: UnsafeBufferPointer<Source>
        let target: UnsafeMutableRawPointer

        func visit<Target: NativeValue>(_: Target.Type) {
            let target = target.assumingMemoryBound(to: Target.self)
            for (index, value) in values.enumerated() {
                let whole = value.int64
                let real =
                    Source.type.isFloatingPoint
                    ? value.float64
                    : Source.type == .uint64 ? Double(UInt64(bitPattern: whole)) : Double(whole)
                target[index] = Target.converted(real: real, whole: whole)
            }
        }
    }
}
