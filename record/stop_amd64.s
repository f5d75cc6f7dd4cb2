#include "textflag.h"

DATA marks<>+0(SB)/4, $0x001f5c22 // control characters end at 1f, \ "
GLOBL marks<>(SB), RODATA|NOPTR, $4

// func stopAVX2(b *byte) (n int, far bool)
TEXT ·stopAVX2(SB), NOSPLIT, $0-17
	MOVQ b+0(FP), AX
	VPBROADCASTB marks<>+0(SB), Y2
	VPBROADCASTB marks<>+1(SB), Y3
	VPBROADCASTB marks<>+2(SB), Y4
	XORQ DX, DX
	XORL R8, R8

loop:
	VMOVDQU (AX)(DX*1), Y0
	VPCMPEQB Y0, Y2, Y1
	VPCMPEQB Y0, Y3, Y5
	VPMINUB Y0, Y4, Y6
	VPCMPEQB Y0, Y6, Y6
	VPOR Y5, Y1, Y1
	VPOR Y6, Y1, Y1
	VPMOVMSKB Y1, BX
	VPMOVMSKB Y0, CX
	TESTL BX, BX
	JNZ found
	ORL CX, R8
	ADDQ $32, DX
	JMP loop

found:
	BSFL BX, R9
	LEAL -1(BX), R10
	XORL BX, R10 // up to the mark, which is no high byte itself
	ANDL R10, CX
	ORL CX, R8
	ADDQ R9, DX
	MOVQ DX, n+8(FP)
	TESTL R8, R8
	SETNE far+16(FP)
	VZEROUPPER
	RET
