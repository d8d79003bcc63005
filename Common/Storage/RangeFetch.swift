/// Ranges on their way: what has come stays, so that another replica can go on with the rest.
///
/// One thread uses it.
package final class RangeFetch {
    package let ranges: [ByteRange]
    private var pointers: [UnsafeRawPointer?]
    private var owners: [AnyObject] = []
    package private(set) var transferred = 0

    package init(_ ranges: [ByteRange]) {
        self.ranges = ranges
        pointers = .init(repeating: nil, count: ranges.count)
    }

    /// Indices of the ranges that have not come.
    package var missing: [Int] { ranges.indices.filter { pointers[$0] == nil && ranges[$0].length > 0 } }

    func set(_ index: Int, to pointer: UnsafeRawPointer) { pointers[index] = pointer }

    /// Keeps alive what pointers point into.
    func keep(_ owner: AnyObject, transferred bytes: Int) {
        owners.append(owner)
        transferred += bytes
    }

    /// A range that has come.
    func slice(_ index: Int) -> UnsafeRawBufferPointer? {
        pointers[index].map { UnsafeRawBufferPointer(start: $0, count: ranges[index].length) }
    }

    /// The bytes of all ranges.
    /// - Precondition: none is missing.
    package func finish() -> FetchedRanges {
        let slices = ranges.indices.map {
            UnsafeRawBufferPointer(start: ranges[$0].length > 0 ? pointers[$0] : nil, count: ranges[$0].length)
        }
        return FetchedRanges(slices: slices, transferred: transferred, owners: owners)
    }
}
