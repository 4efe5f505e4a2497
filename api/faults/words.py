"""What people read for each fault: the one table. docs/operations.md says what to do about it."""

from collections.abc import Mapping
from typing import Final

from broker.kinds import Words

WORDS: Final[Mapping[str, Words]] = {
    # told by gateways
    "unit_silent": Words("报警器失联", "unit silent"),
    "line_silent": Words("线路失联或受干扰", "line silent or jammed"),
    "line_lost": Words("线路端口丢失", "line port lost"),
    "line_noisy": Words("线路干扰大", "line noisy"),
    "line_held_back": Words("存储过慢，线路积压", "line waits for the disk"),
    "reader_silent": Words("读卡器无应答", "reader does not answer"),
    "seal_refused": Words("收到无法验证的信号", "frames that cannot be verified"),
    "does_not_confirm": Words("报警器不回应，警笛可能不响", "unit does not confirm, its siren may be silent"),
    "no_counters": Words("无法向报警器发令", "no orders can go to units"),
    "counters_lost": Words("下行计数文件丢失", "file of counters lost"),
    "counters_improvised": Words("下行计数临时生成", "counters improvised"),
    "battery": Words("电池电量低", "battery low"),
    "mains": Words("市电断电", "mains lost"),
    "power_cut": Words("全村停电", "power cut"),
    "cover": Words("外壳被打开", "cover open"),
    "loop": Words("线路被剪断", "wire cut"),
    "tamper": Words("防拆报警", "tamper"),
    "sounder": Words("警笛损坏", "sounder broken"),
    "stuck_key": Words("按键卡住", "key stuck"),
    "pins_lost": Words("GPIO 不可用", "GPIO pins lost"),
    "zigbee_lost": Words("Zigbee 中断", "Zigbee lost"),
    "uplink": Words("网关与平台通信中断", "gateway cannot reach its broker"),
    "uplink_http": Words("网关 HTTPS 备用通道不通", "gateway's other road (HTTPS) fails"),
    "https_road": Words("网关 HTTPS 备用通道试通失败", "gateway's other road (HTTPS) failed when it was tried"),
    "subscription_refused": Words("网关订阅被拒", "gateway's subscription refused"),
    "queue": Words("网关积压过多", "gateway's queue too long"),
    "unsendable": Words("有事件无法发送", "an event cannot be sent"),
    "clock": Words("网关时钟未校准", "gateway's clock not set"),
    "disk": Words("网关磁盘将满", "gateway's disk nearly full"),
    "journal": Words("网关磁盘无法写入", "gateway's disk takes no events"),
    "old_journal": Words("网关使用了旧存储卡", "gateway runs on an old card"),
    "history_changed": Words("历史记录被改动", "recorded history was changed"),
    "internal_error": Words("网关程序内部错误", "gateway program failed inside"),
    "register_drift": Words("网关登记与平台不一致", "gateway's register differs from the station's"),
    "register_unkept": Words("网关无法保存登记", "gateway cannot keep its register"),
    "slice_refused": Words("网关拒收登记数据", "gateway refused its part of the register"),
    "unit_unusable": Words("报警器登记无法使用", "a unit of the register cannot be used"),
    # found by the station
    "gateway_offline": Words("网关失联", "gateway lost"),
    "audit_changed": Words("操作审计链被改动或截断", "the record of who did what was changed or cut off"),
    "reader_quiet": Words("有人巡查, 读卡器却长时间无刷卡", "reader reads nothing though rounds are walked"),
    "clone": Words("两台网关使用同一身份", "two gateways with one identity"),
    "gap": Words("网关事件缺失", "events of a gateway are missing"),
    "desk_unattended": Words("接警台无人值守", "no attended desk"),
    "escalation_nobody": Words("升级到顶仍无人值班", "nobody on duty up to the top of a ladder"),
    "attachments_missing": Words("本机附件文件夹缺少文件", "files of alarms are missing in a machine's folder"),
    "register_change_refused": Words("计划的登记变更无法执行", "a planned change of the register was not possible"),
    "complaint_nobody": Words("投诉无人可受理", "nobody is there to look into a complaint"),
    "certificate_ends": Words("证书 30 天内到期", "a certificate ends within 30 days"),
    "certificate_ends_soon": Words("证书 7 天内到期", "a certificate ends within 7 days"),
    "certificate_ends_now": Words("证书 24 小时内到期", "a certificate ends within a day"),
    "certificate_ended": Words("证书已过期", "a certificate has ended"),
    "certificate_not_yet": Words("证书尚未生效（时钟不对？）", "a certificate does not count yet (a wrong clock?)"),
    "certificate_unusable": Words("证书或密钥无法使用", "certificate or key cannot be used"),
    "broker_lost": Words("平台与消息服务器通信中断", "station cannot reach its broker"),
    "job_missing": Words("平台的一部分没有进程在运行", "no process does a part of the station's work"),
    "area_outage": Words("停电/干扰待判", "power cut or jamming, to be judged"),
    "fault": Words("故障", "fault"),
}


def words(code: str) -> Words:
    """What people read for a code. One that a newer gateway tells and we do not know is shown as it stands."""
    return WORDS.get(code) or Words(f"故障：{code}", f"fault: {code}")
