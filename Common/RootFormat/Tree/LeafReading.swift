import Bytes
import Columns

/// What a TLeaf holds.
struct LeafReading {
    let typeName: String
    private(set) var encoding = Encoding.plain(.uint8)
    /// Fixed dimensions of one entry, or of one item where another leaf counts.
    private(set) var dimensions: [Int] = []
    private(set) var counter: String?
    private(set) var isText = false
    private(set) var reason: String?
    /// Bytes of one entry where it is fixed.
    private(set) var byteSize = 0

    init(_ leaf: StreamedObject, branchTitle: String) {
        let unsigned = leaf.integer("fIsUnsigned") != 0
        switch leaf.className {
        case "TLeafB": encoding = .plain(unsigned ? .uint8 : .int8)
        case "TLeafS": encoding = .plain(unsigned ? .uint16 : .int16)
        case "TLeafI": encoding = .plain(unsigned ? .uint32 : .int32)
        case "TLeafL", "TLeafG": encoding = .plain(unsigned ? .uint64 : .int64)
        case "TLeafF": encoding = .plain(.float32)
        case "TLeafD": encoding = .plain(.float64)
        case "TLeafO": encoding = .plain(.bool)
        case "TLeafF16": encoding = .packed(PackedReal(comment: Self.packing(branchTitle), double: false))
        case "TLeafD32": encoding = .packed(PackedReal(comment: Self.packing(branchTitle), double: true))
        case "TLeafC": isText = true
        case "TLeafObject": reason = "an object whose branch does not describe it (TLeafObject) is not read"
        default: reason = "no reader for a \(leaf.className)"
        }
        typeName = isText ? "char*" : reason == nil ? encoding.type.name : leaf.className
        let length = min(max(1, Int(leaf.integer("fLen"))), 1 << 24)
        let fixed = Self.dimensions(leaf.string("fTitle"))
        let (product, overflow) = fixed.reduce((1, false)) {
            (
                $0.0.multipliedReportingOverflow(by: $1).partialValue,
                $0.1 || $0.0.multipliedReportingOverflow(by: $1).overflow
            )
        }
        dimensions = !overflow && product == length ? fixed : length == 1 ? [] : [length]
        if let count = leaf.object("fLeafCount") {
            counter = count.string("fName")
            if length == 1 { dimensions = [] }
        } else {
            byteSize = length * encoding.size
        }
    }

    /// The numeric dimensions in a leaf's title: `x[n][2][3]` has 2 and 3.
    private static func dimensions(_ title: String) -> [Int] {
        title.split(separator: "[", omittingEmptySubsequences: false).dropFirst().compactMap {
            Int($0.prefix { $0 != "]" })
        }.filter { (1...1 << 20).contains($0) }.prefix(8).map { $0 }
    }

    /// The range behind a leaf's type in its branch's title: `x/d[0,10,16]`.
    private static func packing(_ title: String) -> String {
        title.lastIndex(of: "/").map { String(title[$0...]) } ?? ""
    }
}
