/// What an array of NumPy's `.npy` format holds and how it is laid out: the type of its elements and its shape, in C
/// order and little-endian.
package struct NpyArray: Sendable, Equatable {
    /// The type of an array's elements.
    package enum Element: Sendable, Equatable {
        case float32, int32, int64
        /// One byte each, 0 or 1.
        case bool
        /// Text of at most `width` Unicode scalars, each in four bytes (UTF-32); shorter ones end with zeros.
        case text(width: Int)

        /// Bytes of one element.
        package var size: Int {
            switch self {
            case .float32, .int32: 4
            case .int64: 8
            case .bool: 1
            case .text(let width): 4 * width
            }
        }

        /// NumPy's name of the type.
        package var descriptor: String {
            switch self {
            case .float32: "<f4"
            case .int32: "<i4"
            case .int64: "<i8"
            case .bool: "|b1"
            case .text(let width): "<U\(width)"
            }
        }
    }

    package let element: Element
    /// The lengths of the dimensions; none for a single value.
    package let shape: [Int]

    /// - Parameter shape: lengths of 0 and more.
    package init(_ element: Element, shape: [Int]) {
        precondition(shape.allSatisfy { $0 >= 0 })
        self.element = element
        self.shape = shape
    }

    /// Bytes of all elements.
    package var byteCount: Int { shape.reduce(element.size, *) }

    /// What comes before the elements in a file: format 1.0, filled up so that the elements begin at a multiple of 64
    /// bytes.
    package var header: [UInt8] {
        let lengths = shape.map { "\($0)," }.joined(separator: " ")
        // A tuple of several items ends without a comma, as NumPy writes it.
        let tuple = shape.count > 1 ? String(lengths.dropLast()) : lengths
        let text = "{'descr': '\(element.descriptor)', 'fortran_order': False, 'shape': (\(tuple)), }"
        let prefix: [UInt8] = [0x93] + Array("NUMPY".utf8) + [1, 0]
        let unpadded = prefix.count + 2 + text.utf8.count + 1
        let padding = (64 - unpadded % 64) % 64
        let length = text.utf8.count + padding + 1
        precondition(length <= UInt16.max, "an array has at most a few dimensions")
        return prefix + [UInt8(length & 0xFF), UInt8(length >> 8)] + Array(text.utf8)
            + [UInt8](repeating: UInt8(ascii: " "), count: padding) + [UInt8(ascii: "\n")]
    }

    /// The one-dimensional array of some texts, wide enough for the longest, and its elements' bytes.
    package static func texts(_ texts: [String]) -> (array: NpyArray, bytes: [UInt8]) {
        // NumPy has no text of width 0.
        let width = max(1, texts.map(\.unicodeScalars.count).max() ?? 1)
        let array = NpyArray(.text(width: width), shape: [texts.count])
        var bytes: [UInt8] = []
        bytes.reserveCapacity(array.byteCount)
        for text in texts {
            for scalar in text.unicodeScalars {
                for shift in stride(from: UInt32(0), to: 32, by: 8) {
                    bytes.append(UInt8(truncatingIfNeeded: scalar.value >> shift))
                }
            }
            bytes.append(contentsOf: repeatElement(0, count: 4 * (width - text.unicodeScalars.count)))
        }
        return (array, bytes)
    }
}

/// A number that an array can hold; its bytes in memory are those in the file.
package protocol NpyNumber: BitwiseCopyable {
    /// The type as arrays name it.
    static var element: NpyArray.Element { get }
}

extension Float: NpyNumber {
    package static var element: NpyArray.Element { .float32 }
}

extension Int32: NpyNumber {
    package static var element: NpyArray.Element { .int32 }
}

extension Int64: NpyNumber {
    package static var element: NpyArray.Element { .int64 }
}
