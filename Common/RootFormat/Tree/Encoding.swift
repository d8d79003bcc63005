import Bytes
import CKernels
import Columns

/// How one number lies in a TTree's bytes, big-endian.
enum Encoding: Sendable, Equatable {
    case plain(DataType)
    case packed(PackedReal)

    /// What a column of it holds.
    var type: DataType {
        switch self {
        case .plain(let type): type
        case .packed(let packed): packed.type
        }
    }

    /// Bytes of one value in the file.
    var size: Int {
        switch self {
        case .plain(let type): type.size
        case .packed(.truncated): 3
        case .packed: 4
        }
    }

    /// Turns `count` values into the machine's form.
    func decode(_ source: UnsafeRawPointer, _ count: Int, to target: UnsafeMutableRawPointer) {
        switch self {
        case .plain(let type):
            switch type.size {
            case 1: target.copyMemory(from: source, byteCount: count)
            case 2: ck_swap16(target, source, count)
            case 4: ck_swap32(target, source, count)
            default: ck_swap64(target, source, count)
            }
        case .packed(let packed): packed.decode(source, count, to: target)
        }
    }
}
